"""What Lava wrote down, as a Record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport.graph import LIF, Array, Graph, Readout
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport_targets.lava.layout import from_lava
from spikeport_targets.lava.plan import Plan

KINDS = ("membrane saturated", "sum beyond 24 bits")  #: the order in which ScheduledLIF counts them


def recorded(graph: Graph, planned: Plan, logs: Mapping[str, Array], count: int) -> Record:
    """The Record of one stream: each layer's rows begin at its depth."""
    steps = graph.timesteps
    depth = planned.pipeline.depth

    def unpacked(name: str, log: str) -> Array:
        rows = logs[log][depth[name] : depth[name] + count * steps]
        shape = graph.shapes[name]
        return from_lava(rows, shape).reshape(count, steps, *shape).swapaxes(0, 1)

    neurons = graph.nodes_of(LIF)
    spikes = {name: unpacked(name, f"spikes/{name}") for name in neurons}
    overflows = {
        name: {kind: int(n) for kind, n in zip(KINDS, logs[f"overflow/{name}"], strict=True) if n}
        for name in neurons
        if f"overflow/{name}" in logs
    }
    return Record(
        target="lava",
        outputs=read_out(graph, unpacked(graph.output, "output")),
        neurons={name: node.size for name, node in neurons.items()},
        spike_counts={n: s.reshape(steps, -1).sum(1, dtype=np.int64) for n, s in spikes.items()},
        trains={name: Train.pack(value) for name, value in spikes.items()},
        membranes={n: np.array(unpacked(n, f"membrane/{n}")) for n in neurons if f"membrane/{n}" in logs},
        overflows={name: kinds for name, kinds in overflows.items() if kinds},
        seconds=float(logs["clock"][2] - logs["clock"][1]),
    )


def read_out(graph: Graph, output: Array) -> Array:
    """[T, B, *output] to [B, *output]: the readout's sum over time, or how often each output neuron fired."""
    node = graph.nodes[graph.output]
    if not isinstance(node, Readout):
        return np.asarray(output.sum(0))
    total = graph.arithmetic.read_out(node, output.astype(np.float64))
    return total.astype(np.int64) if graph.arithmetic.whole else total
