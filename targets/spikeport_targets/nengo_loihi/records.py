"""What the emulator's arrays say, as a Record."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, STATE_SHIFT, Array, Graph, Node, Readout, over_neurons, schedule_over_neurons
from spikeport.graph.loihi import SATURATED, WRAPPED
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport_targets.nengo_loihi.plan import Results

#: the order in which the worker counts them
KINDS = (WRAPPED, "current wrapped", "current and bias wrapped", SATURATED)


def recorded(graph: Graph, results: Results) -> Record:
    """The Record of one run."""
    neurons = graph.nodes_of(LIF)

    def of(name: str, key: str) -> Array:
        """[T, N, *shape]."""
        value = results.blocks[name][key]
        return value.reshape(*value.shape[:2], *graph.shapes[name]).swapaxes(0, 1)

    spikes = {name: of(name, "spikes") for name in neurons}
    overflows = {
        name: {kind: int(n) for kind, n in zip(KINDS, block["overflows"], strict=True) if n}
        for name, block in results.blocks.items()
    }
    end = graph.output
    return Record(
        target="nengo-loihi",
        outputs=spikes[end].sum(0) if end in neurons else _read_out(graph.nodes[end], of(end, "sums")),
        neurons={name: node.size for name, node in neurons.items()},
        spike_counts={name: s.reshape(graph.timesteps, -1).sum(1, dtype=np.int64) for name, s in spikes.items()},
        trains={name: Train.pack(value) for name, value in spikes.items()},
        membranes={name: of(name, "membrane") for name in neurons if "membrane" in results.blocks[name]},
        overflows={name: kinds for name, kinds in overflows.items() if kinds},
        seconds=results.seconds,
    )


def _read_out(node: Node, sums: Array) -> Array:
    """[N, *shape] of sums [T, N, *shape], which the chip has shifted already."""
    sums = sums.astype(np.int64)
    if not isinstance(node, Readout):
        return np.asarray((sums >> STATE_SHIFT).sum(0))
    weight = schedule_over_neurons(node.weight.astype(np.int64), node.shape)[:, None]
    return np.asarray((weight * (sums + over_neurons(node.bias, node.shape).astype(np.int64))).sum(0))
