"""Runs a Graph in batches with torch: real and Loihi arithmetic."""

from spikeport.engine.run import simulate

__all__ = ["simulate"]
