"""How often neurons may fire whatever the order of a step's events: intervals that hold for every order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.graph import LIF, SPECK, STATE_SHIFT, Array, Graph, Input, Node, Readout, Synapse, meaning, over_neurons


def lowest(node: LIF) -> int:
    """The low threshold of a layer on the chip, at which a membrane stops, in sums: its bound, or the format's end."""
    end = SPECK.state_top if node.lower_bound is None else -int(node.lower_bound.flat[0])
    return -(end >> STATE_SHIFT)


@dataclass(frozen=True)
class Between:
    """A least and a largest value, each [N, *shape]."""

    low: Array
    high: Array


def orders(graph: Graph, stream: Array) -> dict[str, Between]:
    """For each layer the least and the largest number of spikes [T, N, *neurons] that any order gives.

    ``stream`` [N, T, *input], what enters. Layers follow one another within a step, biases come first. A neuron fires
    above its threshold h; between a and b in its membrane before the events of a step, P and N what positive and
    negative weights bring:

    1. At most (b + P) // (h + 1) spikes where it returns to zero, since each takes h + 1 at least of what was there or
       positive events bring; at most (b + P - 1) // h where a spike takes h.
    2. One at least where a + P - N is above h: a neuron that has not fired holds that in the end.
    3. Afterwards it holds h at most; if it has not fired, its membrane and P - N; if it has, -N at least, and at most h
       and what positive events brought after its first spike.
    """
    layers = graph.nodes_of(LIF)
    start = {name: np.zeros((len(stream), *node.shape)) for name, node in layers.items()}
    membranes = {name: Between(zeros, zeros) for name, zeros in start.items()}
    counts: dict[str, list[Between]] = {name: [] for name in layers}
    for t in range(graph.timesteps):
        values: dict[str, Between] = {graph.input: Between(stream[:, t], stream[:, t])}
        brought: dict[str, tuple[Between, Between]] = {}
        for name in graph.order:
            node = graph.nodes[name]
            if isinstance(node, Input | Readout):
                continue
            before = [values[source] for source in graph.sources(name) if source in values]
            if isinstance(node, Synapse):
                brought[name] = _brought(node, _sum(before))
            elif isinstance(node, LIF):
                (source,) = graph.sources(name)
                values[name], membranes[name] = _step(node, t, membranes[name], *brought[source])
                counts[name].append(values[name])
            else:
                x = _sum(before)
                values[name] = Between(*(_plain(graph, node, end) for end in (x.low, x.high)))
    ends = {
        name: (np.stack([s.low for s in steps]), np.stack([s.high for s in steps])) for name, steps in counts.items()
    }
    return {name: Between(*pair) for name, pair in ends.items()}


def _sum(values: list[Between]) -> Between:
    first, *others = values
    return Between(sum((each.low for each in others), first.low), sum((each.high for each in others), first.high))


def _plain(graph: Graph, node: Node, x: Array) -> Array:
    """Pools and flattens, which add and move: monotone."""
    return np.asarray(meaning.apply(node, np.asarray(x, np.float64)[None], graph.arithmetic)[0])


def _brought(node: Synapse, x: Between) -> tuple[Between, Between]:
    """What events on positive and on negative weights bring, both as sizes; events below zero turn the sign."""
    up, down = (node.with_(weight=np.maximum(sign * node.weight.astype(np.int16), 0)) for sign in (1, -1))

    def of(side: Synapse, each: Array) -> Array:
        return np.asarray(meaning.products(side, np.asarray(each, np.float64)[None])[0])

    events = [(np.maximum(end, 0), np.maximum(-end, 0)) for end in (x.low, x.high)]
    (low, low_turned), (high, high_turned) = events
    if not (low_turned.any() or high_turned.any()):
        return Between(of(up, low), of(up, high)), Between(of(down, low), of(down, high))
    plus = Between(of(up, low) + of(down, high_turned), of(up, high) + of(down, low_turned))
    return plus, Between(of(down, low) + of(up, high_turned), of(down, high) + of(up, low_turned))


def _step(node: LIF, t: int, v: Between, plus: Between, minus: Between) -> tuple[Between, Between]:
    """Spikes of a step and the membranes after it."""
    top = float(node.threshold[t].flat[0])
    bias = over_neurons(node.bias, node.shape) / 2**STATE_SHIFT
    end = lowest(node)
    a, b = v.low + bias, np.maximum(v.high + bias, end)
    taken = top + 1 if node.reset == "zero" else max(top, 1)
    most = np.maximum(np.floor((b + plus.high - (top + 1)) / taken) + 1, 0)
    least = (a + plus.low - minus.high > top).astype(np.float64)
    most = np.maximum(most, least)
    stops = a - minus.high < end  # some of what negative events bring may be lost there
    silent_high = np.minimum(top, b + plus.high - np.where(stops, 0, minus.low))
    fired_high = np.minimum(top, plus.high - np.maximum(top + 1 - b, 0))
    fired_high = fired_high if node.reset == "zero" else np.full_like(fired_high, top)
    low = np.where(most > 0, np.minimum(a + plus.low, 0) - minus.high, a + plus.low - minus.high)
    low = np.where(least > 0, -minus.high, low)
    high = np.where(most > 0, np.maximum(fired_high, np.where(least > 0, -np.inf, silent_high)), silent_high)
    return Between(least, most), Between(np.maximum(low, end), np.maximum(high, np.maximum(low, end)))
