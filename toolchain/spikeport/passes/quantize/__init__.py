"""From real numbers to Loihi's integers, with the loss measured."""

from spikeport.passes.quantize.mantissa import SIGN_MODES, SignMode
from spikeport.passes.quantize.post_training import STEPS, Quantised, prepare, quantize
from spikeport.passes.quantize.profiles import load_profile, profile_names
from spikeport.passes.quantize.ranges import RANGE_METHODS, RangeMethod
from spikeport.passes.quantize.sensitivity import TradeOff, mixed_bits, sensitivity
from spikeport.passes.quantize.sweep import Run

__all__ = [
    "RANGE_METHODS", "SIGN_MODES", "STEPS", "Quantised", "RangeMethod", "Run", "SignMode", "TradeOff", "load_profile",
    "mixed_bits", "prepare", "profile_names", "quantize", "sensitivity",
]  # fmt: skip
