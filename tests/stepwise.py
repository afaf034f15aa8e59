"""Networks computed a step at a time from the equations at the nodes, in numpy float64 or int64: slow, and independent.

Nothing here is shared with the engine: values are found by asking for them, from the output back to the input.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikeport.graph import LIF, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Loihi, Norm, Pool, Readout, Scale

TOP = 2**23 - 1  # the largest membrane of Loihi's 24 bits


@dataclass
class Stepwise:
    """One run. ``value(name, t)`` is what leaves a node at step t, [B, *shape]."""

    graph: Graph
    samples: np.ndarray
    spikes: dict = field(default_factory=dict)  # name -> {t: [B, *shape]}
    after: dict = field(default_factory=dict)  # membrane after the reset
    before: dict = field(default_factory=dict)  # and before it
    current: dict = field(default_factory=dict)
    known: dict = field(default_factory=dict)
    saturated: dict = field(default_factory=dict)
    beyond_24_bits: dict = field(default_factory=dict)  # currents that 24 bits do not hold

    @property
    def integers(self):
        return isinstance(self.graph.arithmetic, Loihi)

    @property
    def dtype(self):
        return np.int64 if self.integers else np.float64

    def output(self):
        node, name = self.graph[self.graph.output], self.graph.output
        steps = range(self.graph.timesteps)
        if not isinstance(node, Readout):
            return sum(self.value(name, t) for t in steps)
        shift = 64 if self.integers else 1
        bias = spread(node.bias, node.shape)
        return sum(node.weight[t].astype(self.dtype) * (self.value(name, t) * shift + bias) for t in steps)

    def trains(self):
        """Spikes of every layer, [T, B, *shape], after the whole run."""
        self.output()
        for t in range(self.graph.timesteps):
            for name in self.graph.nodes_of(LIF):
                self.value(name, t)
        return {name: self.stacked(self.spikes[name]) for name in self.graph.nodes_of(LIF)}

    def stacked(self, by_step):
        return np.stack([by_step[t] for t in range(self.graph.timesteps)])

    def value(self, name, t):
        if (name, t) not in self.known:
            self.known[name, t] = self.compute(name, self.graph[name], t)
        return self.known[name, t]

    def entering(self, name, t):
        return sum(self.value(source, t) for source in self.graph.sources(name))

    def compute(self, name, node, t):
        match node:
            case Input():
                frame = self.samples[t] if node.coding == "events" else self.samples
                return np.rint(frame / node.unit).astype(np.int64) if self.integers else frame.astype(np.float64)
            case Delay():
                return self.entering(name, t - node.steps) if t >= node.steps else np.zeros_like(self.like(node.shape))
            case LIF():
                return self.neuron(name, node, t)
            case Readout():
                return self.entering(name, t)
            case Flatten():
                return np.stack([sample.ravel() for sample in self.entering(name, t)])
            case Scale():
                return self.entering(name, t) * spread(node.factor.astype(self.dtype), self.graph.shapes[name])
            case Norm():
                x = np.moveaxis(self.entering(name, t), 1, -1)
                normal = (x - node.mean.astype(float)) / np.sqrt(node.var.astype(float) + node.eps)
                return np.moveaxis(normal * node.scale * node.gamma.astype(float) + node.beta, -1, 1)
            case Pool():
                x = self.entering(name, t)
                channels = x.shape[1]
                ones = np.ones((channels, 1, *node.kernel), dtype=self.dtype)
                total = windows(x, ones, node.stride, node.padding, (1,) * len(node.kernel), channels)
                return total / np.prod(node.kernel) if node.kind == "average" else total
            case Linear() | Conv():
                return self.synapse(node, self.entering(name, t))
        raise AssertionError(node)

    def like(self, shape):
        batch = self.samples.shape[1] if self.graph[self.graph.input].coding == "events" else self.samples.shape[0]
        return np.zeros((batch, *shape), self.dtype)

    def synapse(self, node, x):
        weight = node.weight.astype(self.dtype)
        if isinstance(node, Linear):
            y = np.einsum("bi,oi->bo", x, weight)
        else:
            y = windows(x, weight, node.stride, node.padding, node.dilation, node.groups)
        if self.integers:
            return y * 2**node.exponent if node.exponent >= 0 else np.floor_divide(y, 2**-node.exponent)
        return y if node.bias is None else y + spread(node.bias, y.shape[1:])

    def neuron(self, name, node, t):
        if t > 0:
            self.value(name, t - 1)
        decayed = shrunk if self.integers else np.multiply
        v = self.after[name][t - 1] if t else self.like(node.shape)
        decay, bias, gain = (spread(p, node.shape) for p in (node.decay, node.bias, node.gain))
        theta = spread(node.threshold[t], node.shape)
        x = self.entering(name, t) * 64 if self.integers else self.entering(name, t) * gain
        if isinstance(node, CubaLIF):
            i = self.current[name][t - 1] if t else self.like(node.shape)
            x = decayed(i, spread(node.current_decay, node.shape)) + x
            self.current.setdefault(name, {})[t] = x
        u = decayed(v, decay) + x + bias
        if self.integers:
            u, theta = u.astype(np.int64), theta.astype(np.int64) * 64
            beyond = (x > TOP + 1) | (x <= -TOP - 1)  # Lava's 24 bits hold -2**23 + 1 ... 2**23
            self.beyond_24_bits[name] = self.beyond_24_bits.get(name, 0) + int(beyond.sum())
            self.saturated[name] = self.saturated.get(name, 0) + int((abs(u) > TOP).sum())
            u = np.clip(u, -TOP, TOP)
        fired = u >= theta if node.compare == ">=" else u > theta
        to = {"zero": 0 * u, "subtract": u - np.where(fired, theta, 0), "none": u}.get(node.reset)
        to = spread(node.reset_value, node.shape).astype(u.dtype) if to is None else to
        self.before.setdefault(name, {})[t] = u
        self.after.setdefault(name, {})[t] = np.where(fired, to, u)
        self.spikes.setdefault(name, {})[t] = fired
        return fired.astype(self.dtype)


def shrunk(v, decay):
    """trunc(v * decay / 4096), towards zero."""
    product = v * decay.astype(np.int64)
    return np.sign(product) * (abs(product) // 4096)


def spread(parameter, shape):
    """[] or [C] or the neurons' shape, so that it broadcasts over [B, *shape]."""
    parameter = np.asarray(parameter)
    parameter = parameter.astype(np.float64) if parameter.dtype.kind == "f" else parameter
    if parameter.ndim == 1 and parameter.shape != tuple(shape):
        return parameter.reshape(-1, *(1,) * (len(shape) - 1))
    return parameter


def windows(x, weight, stride, padding, dilation, groups):
    """Cross-correlation of x [B, C, *size] with weight [O, C / groups, *kernel], a kernel position at a time."""
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    kernel = weight.shape[2:]
    size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    per_in, per_out = weight.shape[1], weight.shape[0] // groups
    y = np.zeros((len(x), len(weight), *size), x.dtype)
    for place in np.ndindex(*kernel):
        cut = tuple(
            slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, n, s in zip(place, dilation, size, stride, strict=True)
        )
        for g in range(groups):
            part = x[(slice(None), slice(g * per_in, (g + 1) * per_in), *cut)]
            out = slice(g * per_out, (g + 1) * per_out)
            y[:, out] += np.einsum("bc...,oc->bo...", part, weight[(out, slice(None), *place)])
    return y
