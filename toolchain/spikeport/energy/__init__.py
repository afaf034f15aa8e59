"""Counted events times named cost models; every constant with its unit, range and source."""

from spikeport.energy.counts import Counts, Traffic, counts
from spikeport.energy.estimate import Estimate, estimate
from spikeport.energy.events import derive
from spikeport.energy.identities import Identity, identities
from spikeport.energy.model import Constant, Model, Range, find, shipped
from spikeport.energy.verdict import Verdict, verdicts
from spikeport.verb import callable_room

__all__ = [
    "Constant", "Counts", "Estimate", "Identity", "Model", "Range", "Traffic", "Verdict",
    "counts", "derive", "estimate", "find", "identities", "shipped", "verdicts",
]  # fmt: skip

callable_room(__name__)
