"""Does a graph fit a chip: cores, memory, axons, how many chips, where on them, and how long a step takes."""

from spikeport.mapping.chip import Chip, find, shipped
from spikeport.mapping.fit import Fit, LayerFit, fit
from spikeport.mapping.latency import Latency, latency
from spikeport.mapping.picture import draw
from spikeport.mapping.placement import Mapping
from spikeport.mapping.traffic import Work, traffic, work

__all__ = [
    "Chip",
    "Fit",
    "Latency",
    "LayerFit",
    "Mapping",
    "Work",
    "draw",
    "find",
    "fit",
    "latency",
    "shipped",
    "traffic",
    "work",
]
