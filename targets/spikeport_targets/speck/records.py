"""What sinabs' layers left behind, as a Record."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, STATE_SHIFT, Array, Graph, Readout
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport_targets.speck.plan import Results


def recorded(graph: Graph, results: Results) -> Record:
    """The Record of one run; membranes in the unit of the graph's, 64 to a sum."""
    neurons = graph.nodes_of(LIF)

    def of(name: str, key: str) -> Array:
        """[T, N, *shape]."""
        return np.asarray(results.parts[name][key].swapaxes(0, 1))

    spikes = {name: of(name, "spikes") for name in neurons}
    end, node = graph.output, graph.nodes[graph.output]
    if end in neurons:
        outputs = spikes[end].sum(0)
    else:
        sums = of(end, "sums").astype(np.float64)
        outputs = (graph.arithmetic.read_out(node, sums) if isinstance(node, Readout) else sums.sum(0)).astype(np.int64)
    return Record(
        target="speck",
        outputs=outputs,
        neurons={name: layer.size for name, layer in neurons.items()},
        spike_counts={name: s.reshape(graph.timesteps, -1).sum(1, dtype=np.int64) for name, s in spikes.items()},
        trains={name: Train.pack(value) for name, value in spikes.items()},
        membranes={name: of(name, "membrane") << STATE_SHIFT for name in neurons if "membrane" in results.parts[name]},
        seconds=results.seconds,
    )
