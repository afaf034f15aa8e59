"""Does a graph fit a chip: cores, memory, axons, how many chips, where on them, and how long a step takes."""

from spikeport.fit.chip import Chip, find, shipped
from spikeport.fit.fit import Fit, LayerFit, fit
from spikeport.fit.latency import Latency, latency
from spikeport.fit.mapping import Mapping
from spikeport.fit.picture import draw
from spikeport.fit.traffic import Work, traffic, work
from spikeport.verb import callable_room

__all__ = [
    "Chip", "Fit", "Latency", "LayerFit", "Mapping", "Work", "draw", "find", "fit", "latency", "shipped", "traffic",
    "work",
]  # fmt: skip

callable_room(__name__)
