"""Random networks of every node and option, in either arithmetic, and random samples for them.

In real arithmetic all numbers are short binary fractions: float64 computes without rounding, and ties are common.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikeport.graph import (
    LIF,
    LOIHI2,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Pool,
    Readout,
    Real,
    Scale,
)


@dataclass
class Builder:
    rng: np.random.Generator
    integers: bool
    steps: int
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    shape: tuple = ()
    last: str = ""
    seen: list = field(default_factory=list)  # layers of spikes, and their shapes
    beside: list = field(default_factory=list)  # what enters the next node too, and adds there

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def add(self, kind, node):
        name = f"{kind}{len(self.nodes)}"
        if self.last:
            self.edges += [(source, name) for source in (self.last, *self.beside)]
        self.beside = []
        self.nodes[name] = node
        self.shape = node.shape if hasattr(node, "shape") else node.output_shape(self.shape)
        self.last = name
        return name

    # -- numbers --------------------------------------------------------------------------------------------------

    def weights(self, *shape):
        rng = self.rng
        if not self.integers:
            return (rng.integers(-16, 17, shape) / 8).astype(np.float32)
        if rng.random() < 0.2:
            return rng.choice([-128, 127, 0], shape).astype(np.int8)
        span = self.pick(2, 20, 128)
        return rng.integers(-span, span, shape).astype(np.int8)

    def exponent(self):
        return int(self.pick(-8, -3, -2, -1, 1, 2, 3, 7)) if self.integers and self.rng.random() < 0.35 else 0

    def over(self, values, shape):
        """``values(size)`` as one value, one a channel, or one a neuron."""
        return values(self.pick((), shape[:1], shape))

    def decay(self, shape, low=1):
        if not self.integers:
            return self.over(lambda s: (self.rng.integers(0, 5, s) / 4).astype(np.float32), shape)
        top = 4095 if low == 0 else 4096
        return self.over(lambda s: np.clip(self.rng.choice([low, 2048, 3277, 4095, top], s), low, top), shape)

    def bias(self, shape):
        if self.rng.random() < 0.4:
            return np.asarray(0 if self.integers else 0.0, np.int64 if self.integers else np.float32)
        if not self.integers:
            return self.over(lambda s: (self.rng.integers(-8, 9, s) / 8).astype(np.float32), shape)
        span = self.pick(64, 500, 5000, 4096 << 7)
        return self.over(lambda s: self.rng.integers(-span, span + 1, s), shape)

    def threshold(self, shape):
        rng, lead = self.rng, (self.steps,)
        size = self.pick(lead, lead + shape[:1], lead + shape)
        if not self.integers:
            return (rng.integers(1, self.pick(8, 32), size) / 4).astype(np.float32)
        if rng.random() < 0.1:
            return rng.choice([0, 2**17 - 1], size)
        return rng.integers(0, self.pick(10, 30, 100, 3000), size)

    # -- layers ---------------------------------------------------------------------------------------------------

    def synapse(self, keep=False):
        """A random synapse; one that keeps the shape if ``keep``, so that a branch can be added behind it."""
        if keep:
            self.same_shape()
            return
        if len(self.shape) == 1 or self.rng.random() < (0.4 if self.beside else 0.15):
            if len(self.shape) > 1:
                self.add("flat", Flatten())
            out = int(self.rng.integers(1, 7))
            self.add("fc", Linear(self.weights(out, self.shape[0]), self.synapse_bias(out), exponent=self.exponent()))
            return
        axes, channels = len(self.shape) - 1, self.shape[0]
        for _ in range(20):
            groups = self.pick(1, channels) if channels > 1 else 1
            out = groups * int(self.rng.integers(1, 4))
            weight = self.weights(out, channels // groups, *self.rng.integers(1, 4, axes))
            options = {
                key: tuple(int(v) for v in self.rng.integers(low, high, axes))
                for key, low, high in (("stride", 1, 3), ("padding", 0, 3), ("dilation", 1, 3))
            }
            node = Conv(weight, self.synapse_bias(out), exponent=self.exponent(), groups=groups, **options)
            if fits(node, self.shape):
                self.add("conv", node)
                return

    def same_shape(self):
        axes, channels = len(self.shape) - 1, self.shape[0]
        if axes == 0:
            self.add("fc", Linear(self.weights(channels, channels), exponent=self.exponent()))
            return
        half = tuple(int(v) for v in self.rng.integers(0, 2, axes))
        weight = self.weights(channels, channels, *(2 * h + 1 for h in half))
        ones = (1,) * axes
        node = Conv(weight, exponent=self.exponent(), stride=ones, padding=half, dilation=ones)
        self.add("conv", node)

    def synapse_bias(self, out):
        return None if self.integers or self.rng.random() < 0.5 else self.weights(out)

    def pool(self):
        axes = len(self.shape) - 1
        kernel = tuple(int(self.pick(1, 2)) for _ in range(axes))
        kind = "sum" if self.integers else self.pick("sum", "average")
        stride = tuple(int(v) for v in self.rng.integers(1, 3, axes))
        node = Pool(kind, kernel, stride, tuple(int(self.rng.integers(0, k + 1)) for k in kernel))
        if axes and fits(node, self.shape):
            self.add("pool", node)

    def scale(self):
        values = self.rng.integers(-3, 4, self.pick((), self.shape[:1], self.shape))
        self.add("scale", Scale(values if self.integers else values.astype(np.float32) / 2))

    def neuron(self):
        shape = self.shape
        options = {
            "decay": self.decay(shape),
            "threshold": self.threshold(shape),
            "bias": self.bias(shape),
            "reset": self.pick("zero", "zero", "subtract", "value", "none"),
            "compare": ">" if self.integers else self.pick(">=", ">"),
        }
        if self.integers:
            options |= {
                "gain": np.asarray(1),
                "reset_value": np.asarray(self.pick(0, -70, 4000)),
                "unit": np.float64(1),
            }
        else:
            options |= {"gain": np.float32(self.pick(0.5, 1.0, 2.0)), "reset_value": np.float32(self.pick(-0.5, 0.25))}
        if self.rng.random() < 0.3:
            return self.add("cuba", CubaLIF(shape, **options, current_decay=self.decay(shape, low=0)))
        return self.add("lif", LIF(shape, **options))

    def layer(self):
        before, shape = self.last, self.shape
        keep = self.rng.random() < 0.4
        if self.rng.random() < (0.5 if self.beside else 0.2):
            self.pool()
        self.synapse(keep)
        if self.rng.random() < 0.1:
            self.scale()
        name = self.neuron()
        if self.rng.random() < 0.2:
            self.skip(before, shape, name)
        if self.rng.random() < 0.15:
            self.feed_back(name)
        if self.rng.random() < 0.15:
            self.add("delay", Delay(self.shape, int(self.rng.integers(1, 4))))
        others = [other for other, kept in self.seen if kept == self.shape and other != self.last]
        self.seen.append((name, self.nodes[name].shape))
        if others and self.rng.random() < 0.7:
            self.join(self.pick(*others))

    def skip(self, source, shape, name):
        """A plain residual: a synapse of its own leads from before the layer to its neurons, beside the main one."""
        if len(shape) != len(self.shape) or shape[1:] != self.shape[1:]:
            return
        weight = self.weights(self.shape[0], shape[0], *(1,) * (len(shape) - 1))
        ones = (1,) * (len(shape) - 1)
        node = (
            Linear(weight, exponent=self.exponent())
            if len(shape) == 1
            else Conv(weight, exponent=self.exponent(), stride=ones, padding=(0,) * len(ones), dilation=ones)
        )
        way = f"skip{len(self.nodes)}"
        self.nodes[way] = node
        self.edges += [(source, way), (way, name)]

    def feed_back(self, name):
        """The layer's spikes enter it again, later, through weights of their own."""
        shape, last = self.shape, self.last
        self.add("delay", Delay(shape, int(self.rng.integers(1, 3))))
        if len(shape) == 1:
            back = self.add("fc", Linear(self.weights(shape[0], shape[0]), exponent=self.exponent()))
        else:
            kernel = (1,) * (len(shape) - 1)
            back = self.add(
                "conv",
                Conv(
                    self.weights(shape[0], shape[0], *kernel),
                    exponent=self.exponent(),
                    stride=kernel,
                    padding=(0,) * len(kernel),
                    dilation=kernel,
                ),
            )
        self.edges.append((back, name))
        self.shape, self.last = shape, last

    def join(self, other):
        """A residual: the sum of two branches, straight into what comes next, or a node of its own (a Scale of one)."""
        if self.rng.random() < 0.5:
            self.beside = [other]  # nothing adds there if nothing comes next
        else:
            self.edges.append((other, self.add("sum", Scale(np.asarray(1 if self.integers else 1.0)))))


def fits(node, shape):
    try:
        node.output_shape(shape)
    except Exception:
        return False
    return True


def random_graph(seed, *, integers, batch=3, feed_back=True):
    """A graph and samples for it."""
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 11))
    b = Builder(rng, integers, steps)
    if not feed_back:
        b.feed_back = lambda name: None
    shape = b.pick((5,), (3, 6), (2, 6, 5), (1, 5, 7))
    coding = b.pick("direct", "events")
    low, high = b.pick((0, 1), (0, 4), (0, 255), (-128, 127)) if integers else (0, 1)
    unit = np.float64(b.pick(1.0, 0.25)) if integers else np.float32(1)
    bounds = {"low": float(low), "high": float(high)} if integers else {}
    b.add("input", Input(shape, coding, unit=unit, **bounds))
    for _ in range(int(rng.integers(1, 7))):
        b.layer()
    leads_on = any(edge[0] == b.last for edge in b.edges)  # into its own feedback
    if leads_on or rng.random() < 0.7:
        if rng.random() < 0.5:
            b.synapse()
        weight = rng.integers(-3, 4, steps) if integers else (rng.integers(-4, 5, steps) / 4).astype(np.float32)
        b.add("out", Readout(b.shape, weight, bias=b.bias(b.shape)))
    graph = Graph(b.nodes, tuple(b.edges), steps, Loihi(LOIHI2) if integers else Real("float64"))
    size = (steps, batch, *shape) if coding == "events" else (batch, *shape)
    whole = rng.integers(low, high + 1, size)
    if not integers:
        return graph, (rng.integers(-4, 9, size) / 4 if rng.random() < 0.5 else whole).astype(np.float32)
    return graph, (whole * unit).astype(np.float32)
