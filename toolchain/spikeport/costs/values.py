"""What flows through a graph, recomputed in numpy from the spike trains of a Record: no engine, no torch.

Spikes are taken from the Record as they were, so the values are those of the run, whichever target ran it. Everything
between them is computed in float64: exact for Loihi's integers, within rounding for real numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikeport.findings import fail
from spikeport.graph import LIF, Conv, Delay, Flatten, Graph, Input, Linear, Loihi, Norm, Pool, Readout, Scale, Synapse
from spikeport.graph.arrays import Array, over_neurons
from spikeport.record import Record


@dataclass
class Values:
    """Values of every node, [T or 1, B, *shape] float64; 1 where they are the same at every step."""

    graph: Graph
    samples: Array  #: [B, *input] (direct) or [T, B, *input] (events)
    record: Record
    known: dict[str, Array] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def into(self, name: str) -> Array:
        """What enters a node: the sum of what leaves its sources."""
        first, *others = (self.out_of(source) for source in self.graph.sources(name))
        for other in others:
            first = first + other
        return first

    def out_of(self, name: str) -> Array:
        """What leaves a node. Raises SP704 for a spiking layer without train, SP706 for a cycle without spikes."""
        if name not in self.known:
            if name in self.open:
                fail(
                    "SP706",
                    "feeds back on itself without a spiking neuron in between",
                    where=f"node {name!r}",
                    mend="run it on the engine with Request(events=True)",
                )
            self.open.add(name)
            self.known[name] = self._computed(name)
            self.open.discard(name)
        return self.known[name]

    def _computed(self, name: str) -> Array:
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            return entering(node, self.samples, integers=isinstance(self.graph.arithmetic, Loihi))
        if isinstance(node, LIF):
            return self._train(name)
        x = self.into(name)
        if isinstance(node, Synapse):
            return synapse(node, x)
        if isinstance(node, Pool):
            return pool(node, x)
        if isinstance(node, Flatten):
            return x.reshape(*x.shape[:2], -1)
        if isinstance(node, Scale):
            return np.asarray(x * over_neurons(node.factor, x.shape[2:]))
        if isinstance(node, Norm):
            gain = node.gamma * node.scale / np.sqrt(node.var + node.eps)
            shift = node.beta - node.mean * gain
            return np.asarray(x * over_neurons(gain, x.shape[2:]) + over_neurons(shift, x.shape[2:]))
        if isinstance(node, Delay):
            x = np.broadcast_to(x, (self.graph.timesteps, *x.shape[1:]))
            return np.asarray(np.concatenate([np.zeros((node.steps, *x.shape[1:])), x])[: self.graph.timesteps])
        assert isinstance(node, Readout), type(node)
        return x

    def _train(self, name: str) -> Array:
        if name not in self.record.trains:
            fail(
                "SP704",
                f"the record has no spike train of {name!r}",
                where=f"a record of {self.record.target!r}",
                mend="run with Request(trains=True)",
            )
        return self.record.trains[name].unpack().astype(np.float64)


def entering(node: Input, samples: Array, *, integers: bool) -> Array:
    """The samples as [T or 1, B, *input], in units of the input where the graph holds integers."""
    x = np.asarray(samples, dtype=np.float64)
    x = np.rint(x / node.unit) if integers else x
    return x if node.coding == "events" else x[None]


def synapse(node: Synapse, x: Array) -> Array:
    """Products and sums of one synapse: x [T, B, *shape] -> [T, B, *output]."""
    weight = node.weight.astype(np.float64)
    if isinstance(node, Linear):
        y = x @ weight.T
    else:
        assert isinstance(node, Conv)
        y = _convolve(node, weight, x)
    if node.bias is not None:
        y = y + over_neurons(node.bias, y.shape[2:])
    return y if node.exponent == 0 else np.floor(y * 2.0**node.exponent)


def _convolve(node: Conv, weight: Array, x: Array) -> Array:
    """A convolution as one matrix product a tap of the kernel."""
    padded = np.pad(x, [(0, 0)] * 3 + [(p, p) for p in node.padding])
    size = node.output_shape(x.shape[2:])
    groups, inputs, outputs = node.groups, weight.shape[1], node.channels // node.groups
    y = np.zeros((*x.shape[:2], groups, outputs, int(np.prod(size[1:]))))
    for tap in np.ndindex(*node.kernel):
        window = padded[_window(tap, size[1:], node.stride, node.dilation)]
        flat = window.reshape(*x.shape[:2], groups, inputs, -1)
        matrix = weight[(..., *tap)].reshape(groups, outputs, inputs)
        y += matrix @ flat
    return y.reshape(*x.shape[:2], *size)


def pool(node: Pool, x: Array) -> Array:
    """Sums or averages over windows."""
    padded = np.pad(x, [(0, 0)] * 3 + [(p, p) for p in node.padding])
    size = node.output_shape(x.shape[2:])
    ones = (1,) * len(node.kernel)
    y = np.zeros((*x.shape[:2], *size))
    for tap in np.ndindex(*node.kernel):
        y += padded[_window(tap, size[1:], node.stride, ones)]
    return y / np.prod(node.kernel) if node.kind == "average" else y


def _window(
    tap: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[slice, ...]:
    """The inputs of [T, B, C, *size] that one tap of the kernel meets."""
    starts = [k * d for k, d in zip(tap, dilation, strict=True)]
    spatial = (slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(starts, stride, size, strict=True))
    return (slice(None), slice(None), slice(None), *spatial)
