"""Counted events times named cost models; every constant with its unit, range and source."""

from spikeport.costs.counts import Counts, Traffic, counts
from spikeport.costs.deliveries import Delivery, deliveries
from spikeport.costs.estimate import Estimate, estimate
from spikeport.costs.events import derive
from spikeport.costs.identities import Identity, identities
from spikeport.costs.model import Constant, Model, Range, find, shipped
from spikeport.costs.verdict import Verdict, verdicts

__all__ = [
    "Constant",
    "Counts",
    "Delivery",
    "Estimate",
    "Identity",
    "Model",
    "Range",
    "Traffic",
    "Verdict",
    "counts",
    "deliveries",
    "derive",
    "estimate",
    "find",
    "identities",
    "shipped",
    "verdicts",
]
