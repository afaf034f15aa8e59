"""The report: one HTML file that needs no network, from a run's ``result.json``."""

from spikeport.reporting.drawing import draw
from spikeport.reporting.figures import gather
from spikeport.reporting.page import render, write

__all__ = ["draw", "gather", "render", "write"]
