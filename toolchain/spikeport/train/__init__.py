"""Training: neurons, surrogate gradients, threshold schedules, tdBN, losses, the loop."""

from spikeport.train.layers import AvgPool2d, Conv2d, Flatten, GlobalAvgPool2d, Linear, Readout, Repeat
from spikeport.train.methods import METHODS, DsAtgo, Fixed, Method, MpdAgl, method
from spikeport.train.neurons import IF, LIF, PLIF, Neuron
from spikeport.train.norm import TdBatchNorm
from spikeport.verb import callable_room

__all__ = [
    "Method", "Fixed", "MpdAgl", "DsAtgo", "METHODS", "method",
    "Neuron", "LIF", "PLIF", "IF", "TdBatchNorm",
    "Repeat", "Conv2d", "Linear", "AvgPool2d", "GlobalAvgPool2d", "Flatten", "Readout",
]  # fmt: skip

callable_room(__name__)
