"""From real numbers to Loihi's integers, with the loss measured."""

from spikeport.passes.quantize.post_training import Quantised, Run, prepare, quantize

__all__ = ["Quantised", "Run", "prepare", "quantize"]
