"""The report: one HTML file that needs no network, from a run's ``result.json``."""

from spikeport.report.drawing import draw
from spikeport.report.figures import gather
from spikeport.report.page import render, write
from spikeport.verb import callable_room

__all__ = ["draw", "gather", "render", "write"]

callable_room(__name__)
