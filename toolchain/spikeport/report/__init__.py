"""The report: one HTML file that needs no network, from a run's ``result.json``."""

from spikeport.report.page import render, write

__all__ = ["render", "write"]
