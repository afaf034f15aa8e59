"""From real numbers to Loihi's integers, with the loss measured."""

from spikeport.quantisation.mantissa import SIGN_MODES, SignMode
from spikeport.quantisation.post_training import STEPS, Quantised, quantize
from spikeport.quantisation.prepared import prepare
from spikeport.quantisation.profiles import load_profile, profile_names
from spikeport.quantisation.ranges import RANGE_METHODS, RangeMethod
from spikeport.quantisation.sensitivity import TradeOff, mixed_bits, sensitivity
from spikeport.quantisation.sweep import Run

__all__ = [
    "RANGE_METHODS",
    "SIGN_MODES",
    "STEPS",
    "Quantised",
    "RangeMethod",
    "Run",
    "SignMode",
    "TradeOff",
    "load_profile",
    "mixed_bits",
    "prepare",
    "profile_names",
    "quantize",
    "sensitivity",
]
