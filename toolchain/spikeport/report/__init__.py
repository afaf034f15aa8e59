"""The report: one HTML file that needs no network, from a run's ``result.json``."""

from spikeport.report.page import render, write
from spikeport.verb import callable_room

__all__ = ["render", "write"]

callable_room(__name__)
