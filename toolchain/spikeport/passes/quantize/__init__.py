"""From real numbers to Loihi's integers, with the loss measured."""

from spikeport.passes.quantize.post_training import STEPS, Quantised, prepare, quantize
from spikeport.passes.quantize.ranges import RANGE_METHODS
from spikeport.passes.quantize.sweep import Run

__all__ = ["RANGE_METHODS", "STEPS", "Quantised", "Run", "prepare", "quantize"]
