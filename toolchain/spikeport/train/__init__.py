"""Training: neurons, surrogate gradients, threshold schedules, tdBN, losses, the loop."""

from spikeport.train.catalogue import METHODS, method
from spikeport.train.layers import AvgPool2d, Conv2d, Flatten, GlobalAvgPool2d, Linear, Readout, Repeat
from spikeport.train.methods import DsAtgo, Fixed, Method, MpdAgl
from spikeport.train.neighbours import Lsg, Masked, Psg
from spikeport.train.neurons import IF, LIF, PLIF, Neuron
from spikeport.train.norm import TdBatchNorm
from spikeport.verb import callable_room

__all__ = [
    "Method", "Fixed", "MpdAgl", "DsAtgo", "Lsg", "Psg", "Masked", "METHODS", "method",
    "Neuron", "LIF", "PLIF", "IF", "TdBatchNorm",
    "Repeat", "Conv2d", "Linear", "AvgPool2d", "GlobalAvgPool2d", "Flatten", "Readout",
]  # fmt: skip

callable_room(__name__)
