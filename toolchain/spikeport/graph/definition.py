"""A graph computed from its meaning, one step after the other, in numpy: what every target is held to.

Slow and plain. It runs any graph in any arithmetic, so also what a plug-in brings; engines exist because of its speed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np

from spikeport.graph import meaning
from spikeport.graph.adaptive import settled
from spikeport.graph.arrays import Array
from spikeport.graph.graph import Graph
from spikeport.graph.neurons import LIF
from spikeport.graph.operation import Operation
from spikeport.graph.peak import Peak
from spikeport.graph.plumbing import Delay, Input, Readout
from spikeport.graph.shifts import shift_each


@dataclass(frozen=True)
class Run:
    """What a graph did with some samples; arrays are float64 unless said, [T, B, *shape] by node."""

    outputs: (
        Array  #: [B, *shape]: the readout, or the sum over time of what leaves the output node; of several the first
    )
    values: Mapping[str, Array]  #: what leaves each node; of neurons how often they fire, of a readout what enters it
    membranes: Mapping[str, Array]  #: of each neuron layer before the comparison
    after: Mapping[str, Array]  #: and after the reset
    currents: Mapping[str, Array]  #: and the synaptic current
    active: Mapping[str, Array]  #: int64 [T]: neurons that a chip had to compute
    overflows: Mapping[str, Mapping[str, int]]  #: by neuron layer: numbers that left the format, by what happened
    further: Mapping[str, Array]  #: outputs of the others, by node

    def spikes(self, name: str) -> Array:
        """Which neurons of a layer fire, bool [T, B, *shape]."""
        return np.asarray(self.values[name] != 0)


@dataclass
class _Layer:
    """One neuron layer on its way through the steps."""

    v: Array
    current: Array
    rise: Array  #: of the thresholds of neurons that adapt
    membranes: list[Array] = field(default_factory=list)
    after: list[Array] = field(default_factory=list)
    currents: list[Array] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    overflows: Counter[str] = field(default_factory=Counter)

    def step(self, graph: Graph, node: LIF, x: Array, t: int) -> Array:
        """How often each neuron fires: 0 and 1 where that is once at most."""
        arithmetic = graph.arithmetic
        self.active.append(int(np.count_nonzero(arithmetic.active(node, self.v, x) | (self.rise != 0))))
        u, self.current, overflows = arithmetic.charge(node, self.v, self.current, x)
        fired = arithmetic.fires(node, u - self.rise, t)
        self.v, self.rise = settled(arithmetic, node, u, self.rise, fired, t)
        self.membranes.append(u)
        self.after.append(self.v)
        self.currents.append(self.current)
        self.overflows.update(overflows)
        return fired.astype(np.float64)


def run(graph: Graph, samples: Array) -> Run:
    """Every node at every step. ``samples`` [B, *input] for direct coding, [T, B, *input] for events."""
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    graph = shift_each(graph)
    frames = graph.arithmetic.entering(node, samples)
    batch = frames.shape[1]
    zeros = {name: np.zeros((batch, *layer.shape)) for name, layer in graph.nodes_of(LIF).items()}
    layers = {name: _Layer(zero, zero, zero) for name, zero in zeros.items()}
    values: dict[str, list[Array]] = {name: [] for name in graph.nodes}
    for t in range(graph.timesteps):
        for name in graph.order:
            values[name].append(_at(graph, name, t, values, frames, layers))
    trains = {name: np.stack(steps) for name, steps in values.items()}
    outputs = {name: _read_out(graph, name, trains[name], layers) for name in graph.outputs}
    return Run(
        outputs.pop(graph.output),
        trains,
        {name: np.stack(layer.membranes) for name, layer in layers.items()},
        {name: np.stack(layer.after) for name, layer in layers.items()},
        {name: np.stack(layer.currents) for name, layer in layers.items()},
        {name: np.asarray(layer.active, dtype=np.int64) for name, layer in layers.items()},
        {name: dict(layer.overflows) for name, layer in layers.items() if layer.overflows},
        outputs,
    )


def _read_out(graph: Graph, name: str, x: Array, layers: Mapping[str, _Layer]) -> Array:
    """What an output node makes of all steps, [B, *shape]."""
    node = graph.nodes[name]
    if isinstance(node, Peak):
        return np.asarray(np.max(layers[name].membranes, axis=0))
    return graph.arithmetic.read_out(node, x) if isinstance(node, Readout) else np.asarray(x.sum(0))


def _at(
    graph: Graph, name: str, t: int, values: Mapping[str, list[Array]], frames: Array, layers: Mapping[str, _Layer]
) -> Array:
    """What leaves a node at step ``t``, when everything before it is known; a delay shows what entered it before."""
    node = graph.nodes[name]
    if isinstance(node, Input):
        return np.asarray(frames[min(t, len(frames) - 1)])
    seen = t - node.steps if isinstance(node, Delay) else t
    if seen < 0:
        return np.zeros((frames.shape[1], *graph.shapes[name]))
    x, *others = (reduce(add, (values[source][seen] for source in group)) for group in graph.operands(name))
    if isinstance(node, Operation):
        node = node.during(slice(t, t + 1))
        return np.asarray(node.compute(x[None], *(other[None] for other in others))[0])
    if isinstance(node, LIF):
        return layers[name].step(graph, node, x, t)
    if isinstance(node, Delay | Readout):
        return np.asarray(x)
    return np.asarray(meaning.apply(node, x[None], graph.arithmetic)[0])
