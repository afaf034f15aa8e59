"""Runs a Graph in batches, or an endless stream, with torch: real and Loihi arithmetic."""

from spikeport.engine.run import simulate
from spikeport.engine.stream import Stream, stream

__all__ = ["Stream", "simulate", "stream"]
