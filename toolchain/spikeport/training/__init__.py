"""Training: neurons, surrogate gradients, threshold schedules, tdBN, losses, the loop."""

from spikeport.training.catalogue import METHODS, method
from spikeport.training.layers import AvgPool2d, Conv2d, Flatten, GlobalAvgPool2d, Linear, Readout, Repeat
from spikeport.training.methods import DsAtgo, Fixed, Method, MpdAgl
from spikeport.training.neighbours import Lsg, Masked, Psg
from spikeport.training.neurons import IF, LIF, PLIF, Neuron
from spikeport.training.norm import TdBatchNorm

__all__ = [
    "Method",
    "Fixed",
    "MpdAgl",
    "DsAtgo",
    "Lsg",
    "Psg",
    "Masked",
    "METHODS",
    "method",
    "Neuron",
    "LIF",
    "PLIF",
    "IF",
    "TdBatchNorm",
    "Repeat",
    "Conv2d",
    "Linear",
    "AvgPool2d",
    "GlobalAvgPool2d",
    "Flatten",
    "Readout",
]
