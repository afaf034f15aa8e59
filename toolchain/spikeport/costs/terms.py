"""A term of an estimate: what one kind of event of one layer costs."""

from __future__ import annotations

from dataclasses import dataclass

from spikeport.costs.model import Range


@dataclass(frozen=True, slots=True)
class Term:
    """Energy that one kind of event of one layer costs, in joule per sample."""

    layer: str
    label: str
    count: Range  #: events per sample
    energy: Range  #: joule per sample
    by_spikes: bool  #: whether the count goes with the firing rate
