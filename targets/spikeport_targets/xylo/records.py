"""What xylosim left behind, as a Record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import numpy as np

from spikeport.graph import LIF, STATE_SHIFT, Array, Delay, Graph, Readout, meaning
from spikeport.graph.loihi import SATURATED
from spikeport.graph.xylo import CURRENT
from spikeport.mapping.population import Layout
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport_targets.xylo.plan import Results

BETWEEN = "current saturated between the events of a step"  #: where their order mattered; the engine adds them first
FLAGS = ((CURRENT, 1), (SATURATED, 2), (BETWEEN, 4))  #: bits of `worker.py`


def recorded(graph: Graph, place: Layout, stream: Array, results: Results, membranes: set[str]) -> Record:
    """The Record of one run on ``stream`` [N, T, *input]; ``membranes`` names the layers that show theirs.

    Membranes are in the graph's unit, 64 to a sum.
    """
    neurons = graph.nodes_of(LIF)
    spikes = {name: _of(graph, place, name, results.spikes) for name in neurons}
    flags = {name: _of(graph, place, name, results.flags) for name in neurons}
    counted = {name: {what: int(np.count_nonzero(each & bit)) for what, bit in FLAGS} for name, each in flags.items()}
    return Record(
        target="xylo",
        outputs=_outputs(graph, spikes | {graph.input: stream.swapaxes(0, 1)}),
        neurons={name: layer.size for name, layer in neurons.items()},
        spike_counts={name: s.reshape(graph.timesteps, -1).sum(1, dtype=np.int64) for name, s in spikes.items()},
        trains={name: Train.pack(value) for name, value in spikes.items()},
        membranes={
            name: _of(graph, place, name, results.membranes).astype(np.int64) << STATE_SHIFT for name in membranes
        },
        overflows={
            name: kinds for name, counts in counted.items() if (kinds := {what: n for what, n in counts.items() if n})
        },
        seconds=results.seconds,
    )


def _of(graph: Graph, place: Layout, name: str, values: Mapping[str, Array]) -> Array:
    """[T, N, *shape]: a layer's part of its population, at the steps that are the network's."""
    if name == place.out:
        part = values["out"]
    else:
        before = place.hidden[: place.hidden.index(name)]
        start = sum(int(np.prod(graph.shapes[each])) for each in before)
        part = values["hidden"][:, :, start : start + int(np.prod(graph.shapes[name]))]
    begin = place.depth[name]
    steps = part[:, begin : begin + graph.timesteps].swapaxes(0, 1)
    return np.asarray(steps.reshape(*steps.shape[:2], *graph.shapes[name]))


def _outputs(graph: Graph, spikes: dict[str, Array]) -> Array:
    """The sum over time of what leaves the last node; a readout's weighted sum is the host's."""
    node = graph.nodes[graph.output]
    if isinstance(node, LIF):
        return np.asarray(spikes[graph.output].sum(0, dtype=np.int64))
    x = _entering(graph, graph.output, spikes)
    if isinstance(node, Readout):
        return np.asarray(graph.arithmetic.read_out(node, x)).astype(np.int64)
    return np.asarray(_leaving(graph, graph.output, spikes).sum(0).astype(np.int64))


def _entering(graph: Graph, name: str, spikes: dict[str, Array]) -> Array:
    return np.asarray(reduce(add, (_leaving(graph, source, spikes) for source in graph.sources(name))))


def _leaving(graph: Graph, name: str, spikes: dict[str, Array]) -> Array:
    """What leaves a node behind the last neurons, [T, N, *shape]."""
    if name in spikes:
        return spikes[name].astype(np.float64)
    node, x = graph.nodes[name], _entering(graph, name, spikes)
    if isinstance(node, Delay):
        return np.asarray(meaning.delayed(node, x, graph.timesteps))
    return np.asarray(meaning.apply(node, x, graph.arithmetic))
