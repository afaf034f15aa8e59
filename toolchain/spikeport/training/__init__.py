"""Training: neurons, surrogate gradients, threshold schedules, tdBN, losses, the loop.

The names are imported when first used: what knows recipes and shipped models alone needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikeport.first_use import on_first_use

if TYPE_CHECKING:
    from spikeport.training.catalogue import METHODS as METHODS
    from spikeport.training.catalogue import method as method
    from spikeport.training.layers import AvgPool2d as AvgPool2d
    from spikeport.training.layers import Conv2d as Conv2d
    from spikeport.training.layers import Flatten as Flatten
    from spikeport.training.layers import GlobalAvgPool2d as GlobalAvgPool2d
    from spikeport.training.layers import Linear as Linear
    from spikeport.training.layers import Readout as Readout
    from spikeport.training.layers import Repeat as Repeat
    from spikeport.training.methods import DsAtgo as DsAtgo
    from spikeport.training.methods import Fixed as Fixed
    from spikeport.training.methods import Method as Method
    from spikeport.training.methods import MpdAgl as MpdAgl
    from spikeport.training.neighbours import Lsg as Lsg
    from spikeport.training.neighbours import Masked as Masked
    from spikeport.training.neighbours import Psg as Psg
    from spikeport.training.neurons import IF as IF
    from spikeport.training.neurons import LIF as LIF
    from spikeport.training.neurons import PLIF as PLIF
    from spikeport.training.neurons import Neuron as Neuron
    from spikeport.training.norm import TdBatchNorm as TdBatchNorm

_NAMES = {
    "catalogue": ("METHODS", "method"),
    "layers": ("AvgPool2d", "Conv2d", "Flatten", "GlobalAvgPool2d", "Linear", "Readout", "Repeat"),
    "methods": ("DsAtgo", "Fixed", "Method", "MpdAgl"),
    "neighbours": ("Lsg", "Masked", "Psg"),
    "neurons": ("IF", "LIF", "PLIF", "Neuron"),
    "norm": ("TdBatchNorm",),
}
_HOMES = {name: f"spikeport.training.{home}" for home, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)

if not TYPE_CHECKING:
    __getattr__ = on_first_use(__name__, _HOMES)
