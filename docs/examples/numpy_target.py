"""A target for spikeport that runs fully connected networks with numpy: an example to start from."""

from __future__ import annotations

import time

import numpy as np

from spikeport.findings import Finding, raise_errors
from spikeport.graph import (
    LIF,
    Array,
    Flatten,
    Graph,
    Input,
    Linear,
    Readout,
    Real,
    Samples,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport.target import Availability, Request

KNOWN = (Input, Flatten, Linear, LIF, Readout)


class Numpy:
    """Layer after layer, all timesteps of a layer at once."""

    name = "numpy"

    def availability(self) -> Availability:
        """Whether it can run here."""
        return Availability(ready=True, version=f"numpy {np.__version__}")

    def check(self, graph: Graph) -> list[Finding]:
        """Every node that it cannot run."""
        found = [
            Finding("SP990", f"{type(node).__name__} is unknown here", f"node {name!r}", mend="use --target reference")
            for name, node in graph.nodes.items()
            if type(node) not in KNOWN
        ]
        found += [
            Finding("SP990", f"reset {node.reset!r} is unknown here", f"node {name!r}", mend="use --target reference")
            for name, node in graph.nodes_of(LIF).items()
            if node.reset != "zero"
        ]
        if not isinstance(graph.arithmetic, Real) or graph.recurrent:
            found.append(Finding("SP990", "integers and recurrence are unknown here", mend="use --target integer"))
        return found

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """Run samples [B, *input] (or [T, B, *input]) and record the spikes."""
        raise_errors(self.check(graph))
        entering = Samples.of(graph, samples)
        begun = time.perf_counter()
        values: dict[str, Array] = {}
        trains: dict[str, Array] = {}
        for name in graph.order:
            node = graph[name]
            if isinstance(node, Input):
                values[name] = np.broadcast_to(entering.frames, (graph.timesteps, entering.number, *node.shape))
                continue
            x = sum(values[source] for source in graph.sources(name))
            if isinstance(node, Linear):
                values[name] = x @ node.weight.T + (0 if node.bias is None else node.bias)
            elif isinstance(node, Flatten):
                values[name] = x.reshape(*x.shape[:2], -1)
            elif isinstance(node, LIF):
                trains[name] = neurons(node, x)
                values[name] = trains[name].astype(x.dtype)
            elif isinstance(node, Readout):
                weight = schedule_over_neurons(node.weight, node.shape)[:, None]
                values[name] = (weight * (x + over_neurons(node.bias, node.shape))).sum(0)
        return Record(
            target=self.name,
            outputs=values[graph.output] if isinstance(graph[graph.output], Readout) else values[graph.output].sum(0),
            neurons={name: node.size for name, node in graph.nodes_of(LIF).items()},
            spike_counts={n: t.reshape(len(t), -1).sum(1).astype(np.int64) for n, t in trains.items()},
            trains=request.kept({name: Train.pack(train) for name, train in trains.items()}),
            seconds=time.perf_counter() - begun,
        )


def neurons(node: LIF, x: Array) -> Array:
    """u = decay v + gain x + bias; fires at its threshold; who fired starts from zero. bool [T, B, *shape]."""
    decay, gain, bias = (over_neurons(value, node.shape) for value in (node.decay, node.gain, node.bias))
    theta = schedule_over_neurons(node.threshold, node.shape)
    v, spikes = np.zeros_like(x[0]), []
    for t in range(len(x)):
        u = decay * v + gain * x[t] + bias
        spikes.append(u >= theta[t] if node.compare == ">=" else u > theta[t])
        v = np.where(spikes[-1], 0, u)
    return np.stack(spikes)
