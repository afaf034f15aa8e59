"""The first place where two runs part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikeport.comparison.parity import mismatches
from spikeport.graph import LIF, Array, Graph, schedule_over_neurons
from spikeport.record import Record


@dataclass(frozen=True, slots=True)
class Moment:
    """One neuron of one network when it decides, in real units (integers times the membrane's unit)."""

    membrane: float  #: before the reset
    threshold: float
    margin: float  #: membrane - threshold

    def __str__(self) -> str:
        return f"membrane {self.membrane:.6g}, threshold {self.threshold:.6g}, margin {self.margin:+.3g}"


@dataclass(frozen=True, slots=True)
class Divergence:
    """One neuron at one step of one sample, where A and B disagree and all that came before agrees."""

    layer: str
    t: int  #: timestep, from 0
    sample: int  #: from 0
    neuron: tuple[int, ...]  #: coordinates within the layer
    a_fires: int  #: whether it fires; how often, in a run whose neurons fire several times in a step
    b_fires: int
    a_membrane: float | None = None  #: after the reset, in the membrane's unit; None where it was not recorded
    b_membrane: float | None = None
    threshold: float | None = None  #: of B's graph, in the units of its input; None where no graph was given
    a: Moment | None = None  #: how near A was to its threshold; None where its network is not known
    b: Moment | None = None

    def __str__(self) -> str:
        return self.told("A", "B")

    def told(self, a: str, b: str) -> str:
        """In words, the two networks by name."""
        who = f"{a} fires, {b} does not" if self.a_fires else f"{b} fires, {a} does not"
        if self.a_fires and self.b_fires:
            who = f"{a} fires {self.a_fires} times, {b} {self.b_fires}"
        where = ", ".join(map(str, self.neuron))
        moments = "".join(f"; {name}: {moment}" for name, moment in ((a, self.a), (b, self.b)) if moment)
        return f"{self.layer}, t = {self.t}, sample {self.sample}, neuron ({where}): {who}{moments}"


def first_divergence(a: Record, b: Record, graph: Graph | None = None) -> Divergence | None:
    """The first mismatch in the order of the layers, then of time, then of samples; None where all spikes agree.

    All layers before it agree at all steps, and so does this layer at all earlier steps: it is a cause, not a
    consequence. (In a recurrent network the order is time first.) ``graph`` is B's, for the threshold.
    """
    recurrent = graph is not None and graph.recurrent
    counts = {name: mismatches(a.trains[name], b.trains[name], name) for name in b.trains if name in a.trains}
    places = [(name, int(t)) for name, per_step in counts.items() for t in np.flatnonzero(per_step)]
    if not places:
        return None
    rank = {name: place for place, name in enumerate(counts)}

    def causal(place: tuple[str, int]) -> tuple[int, int]:
        layer, t = place
        return (t, rank[layer]) if recurrent else (rank[layer], t)

    name, t = min(places, key=causal)
    return next(_at(a, b, graph, name, t))


def _at(a: Record, b: Record, graph: Graph | None, name: str, t: int) -> Iterator[Divergence]:
    """The divergences of one layer at one step, by sample."""
    x, y = a.trains[name].unpack()[t], b.trains[name].unpack()[t]
    for place in np.argwhere(x != y):
        sample, neuron = int(place[0]), tuple(int(i) for i in place[1:])
        at = (t, sample, *neuron)
        yield Divergence(
            name,
            t,
            sample,
            neuron,
            x[sample][neuron].item(),
            y[sample][neuron].item(),
            _membrane(a, name, at),
            _membrane(b, name, at),
            None if graph is None else _threshold(graph, name, t, neuron),
        )


def _membrane(record: Record, name: str, at: tuple[int, ...]) -> float | None:
    return float(record.membranes[name][at]) if name in record.membranes else None


def _threshold(graph: Graph, name: str, t: int, neuron: tuple[int, ...]) -> float:
    node = graph[name]
    assert isinstance(node, LIF)
    spread: Array = schedule_over_neurons(node.threshold, node.shape)
    return float(np.broadcast_to(spread[t], node.shape)[neuron])
