"""A target that somebody wrote for spikeport 0.1: fully connected networks of one constant threshold, with numpy."""

from __future__ import annotations

import numpy as np

from spikeport.findings import Finding, raise_errors
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.record import Record
from spikeport.spike_train import Train

try:
    from spikeport.target import Availability, Request, check_input
except ImportError:  # the name that it had in 0.1
    from spikeport.targets import Availability, Request, check_input


class OldNumpy:
    """Layer after layer, all timesteps of a layer at once."""

    name = "old-numpy"

    def availability(self) -> Availability:
        """Whether it can run here."""
        return Availability(ready=True, version="0.1 of somebody")

    def check(self, graph: Graph) -> list[Finding]:
        """Every node that it cannot run."""
        unknown = [name for name, node in graph.nodes.items() if type(node) not in (Input, Linear, LIF, Readout)]
        return [Finding("SP990", "is unknown here", f"node {name!r}", mend="use another target") for name in unknown]

    def run(self, graph: Graph, samples: np.ndarray, request: Request) -> Record:
        """Run samples [B, *input] and record the spikes."""
        raise_errors(self.check(graph))
        x = np.broadcast_to(samples, (graph.timesteps, check_input(graph, samples), *samples.shape[1:]))
        trains = {}
        for node_name in graph.order:
            node = graph[node_name]
            if isinstance(node, Linear):
                x = x @ node.weight.T
            elif isinstance(node, LIF):
                trains[node_name] = x = fire(node, x)
            elif isinstance(node, Readout):
                x = np.tensordot(node.weight, x, 1)
        return Record(
            target=self.name,
            outputs=x,
            neurons={name: node.size for name, node in graph.nodes_of(LIF).items()},
            spike_counts={name: train.sum((1, 2)).astype(np.int64) for name, train in trains.items()},
            trains=request.kept({name: Train.pack(train) for name, train in trains.items()}),
        )


def fire(node, x):
    """Fires at its threshold; who fired starts from zero."""
    v, spikes = np.zeros_like(x[0]), []
    for current in x:
        u = node.decay * v + current
        spikes.append((u >= node.threshold[0]).astype(x.dtype))
        v = np.where(spikes[-1], 0, u)
    return np.stack(spikes)
