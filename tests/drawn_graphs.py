"""A graph drawn node by node from a random generator; `strategies.graphs` says what may occur in it."""

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
    Norm,
    Pool,
    Readout,
    Real,
    Scale,
)


@dataclass
class Maker:
    rng: np.random.Generator
    steps: int
    kind: str
    norms: bool
    delays: bool
    odd_bits: bool
    resets: list
    kinds: list
    coding: str | None
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    shape: tuple = ()
    last: str = ""
    beside: list = field(default_factory=list)  # what enters the next node too, and adds there

    # -- numbers

    @property
    def integers(self):
        return self.kind == "loihi"

    def maybe(self, share=0.5):
        return bool(self.rng.random() < share)

    def numbers(self, *shape, low=-16, high=16):
        """Weights: sixteenths, arbitrary floats, or mantissas."""
        if self.integers:
            return self.rng.integers(-128, 128, shape).astype(self.rng.choice([np.int8, np.int16, np.int64]))
        dtype = self.kind if self.maybe(0.8) else "float32"
        if self.odd_bits:
            value = self.rng.normal(size=shape).astype(dtype)
            return np.where(self.rng.random(shape) < 0.1, np.asarray(-0.0, dtype), value).astype(dtype)
        return np.asarray(self.rng.integers(low, high + 1, shape) / 16, dtype)

    def per_neuron(self, draw, *, over_shape=True):
        """A parameter []; [C]; or [*shape]."""
        shapes = [(), self.shape[:1], self.shape] if over_shape else [(), self.shape[:1]]
        return draw(shapes[int(self.rng.integers(len(shapes)))])

    # -- nodes

    def add(self, stem, node):
        name = f"{stem}_{len(self.nodes)}"
        self.nodes[name] = node
        if self.last:
            self.edges += [(source, name) for source in (self.last, *self.beside)]
        self.last, self.beside = name, []
        self.shape = node.output_shape(self.shape)
        return name

    def enter(self):
        shapes = [(3,), (2, 6), (2, 5, 6), (4, 6, 6), (1, 7, 5)]
        shape = shapes[int(self.rng.integers(len(shapes)))]
        coding = self.coding or ("events" if self.maybe() else "direct")
        if self.integers:
            unit = np.asarray(0.25, np.float32)
            self.add("input", Input(shape, coding, unit, *((0.0, 1.0) if coding == "events" else (-8.0, 8.0))))
        else:
            self.add("input", Input(shape, coding))

    def synapse(self, outputs=None):
        exponent = int(self.rng.integers(-3, 3)) if self.integers else 0
        bias = None
        if len(self.shape) == 1:
            outputs = outputs or int(self.rng.integers(1, 7))
            weight = self.numbers(outputs, self.shape[0])
            bias = self.numbers(outputs) if not self.integers and self.maybe() else None
            return Linear(weight, bias, exponent)
        axes = len(self.shape) - 1
        channels = self.shape[0]
        groups = int(self.rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        outputs = outputs or groups * int(self.rng.integers(1, 4))
        if outputs % groups:
            groups = 1
        kernel = tuple(int(self.rng.integers(1, min(4, n) + 1)) for n in self.shape[1:])
        dilation = tuple(
            2 if self.maybe(0.2) and 2 * (k - 1) < n else 1 for k, n in zip(kernel, self.shape[1:], strict=True)
        )
        stride, padding = (tuple(int(v) for v in self.rng.integers(low, low + 2, axes)) for low in (1, 0))
        bias = self.numbers(outputs) if not self.integers and self.maybe() else None
        weight = self.numbers(outputs, channels // groups, *kernel)
        return Conv(weight, bias, exponent, stride, padding, dilation, groups)

    def same_shape(self):
        """A synapse behind which the branch before it can be added."""
        channels = self.shape[0]
        weight = self.numbers(channels, channels, *(1,) * (len(self.shape) - 1))
        if len(self.shape) == 1:
            return Linear(weight)
        ones = (1,) * (len(self.shape) - 1)
        return Conv(weight, stride=ones, padding=(0,) * len(ones), dilation=ones)

    def plain(self):
        """A node without state, or none."""
        choice = int(self.rng.integers(5))
        if choice == 0:
            factor = self.per_neuron(
                lambda s: self.rng.integers(-2, 3, s).astype(np.int32 if self.integers else np.float32)
            )
            self.add("scale", Scale(factor))
        elif choice == 1 and len(self.shape) > 1:
            kernel = tuple(int(self.rng.integers(1, min(n, 2) + 1)) for n in self.shape[1:])
            kind = "sum" if self.integers or self.maybe() else "average"
            self.add("pool", Pool(kind, kernel, kernel, (0,) * len(kernel)))
        elif choice == 2 and self.norms:
            c = self.shape[0]
            var = np.asarray(self.rng.choice([0.25, 1, 4], c), np.float32)
            norm = Norm(
                self.numbers(c), self.numbers(c), self.numbers(c), var, eps=0.0, scale=float(self.rng.choice([0.5, 1]))
            )
            self.add("norm", norm)
        elif choice == 3 and self.delays:
            self.add("delay", Delay(self.shape, int(self.rng.integers(1, 3))))
        elif choice == 4 and len(self.shape) > 1:
            self.add("flat", Flatten())

    def neuron(self, fan):
        kind = self.kinds[int(self.rng.integers(len(self.kinds)))]
        reset = self.resets[int(self.rng.integers(len(self.resets)))]
        tails = [(), self.shape[:1], self.shape]
        shape = (self.steps, *tails[int(self.rng.integers(3))])
        if self.maybe(0.3):
            shape = (self.steps,)
        if self.integers:
            return self._integers(kind, reset, shape, fan)
        values = self._reals(shape, fan, reset)
        if kind is CubaLIF:
            values["current_decay"] = self.per_neuron(lambda s: self._decay(s))
        return kind(self.shape, **values)

    def _decay(self, shape):
        if self.odd_bits:
            return self.rng.random(shape).astype(self.kind)
        return np.asarray(self.rng.choice([0, 0.25, 0.5, 0.5, 1], shape), np.float32)

    def _reals(self, shape, fan, reset):
        top = max(1, int(6 * np.sqrt(fan)))
        threshold = np.asarray(self.rng.integers(1, top + 1, shape) / 16, self.kind)
        if self.maybe(0.3):
            threshold = np.repeat(threshold[:1], self.steps, axis=0)
        return {
            "decay": self.per_neuron(self._decay),
            "threshold": threshold,
            "bias": self.per_neuron(lambda s: self.numbers(*s, low=-4, high=4)),
            "gain": self.per_neuron(lambda s: np.asarray(self.rng.choice([0.5, 1, 1, 2], s), np.float32)),
            "reset": reset,
            "reset_value": self.per_neuron(lambda s: self.numbers(*s, low=-4, high=0)),
            "compare": ">=" if self.maybe() else ">",
        }

    def _integers(self, kind, reset, shape, fan):
        threshold = self.rng.integers(0, int(150 * np.sqrt(fan)) + 2, shape).astype(np.int32)
        if self.maybe(0.3):
            threshold = np.repeat(threshold[:1], self.steps, axis=0)
        values = {
            "decay": self.per_neuron(lambda s: np.asarray(self.rng.integers(1, 4097, s), np.int32)),
            "threshold": threshold,
            "bias": self.per_neuron(lambda s: np.asarray(self.rng.integers(-2000, 2001, s), np.int32)),
            "reset": reset,
            "reset_value": np.asarray(-64 if reset == "value" else 0, np.int32),
            "compare": ">",
            "unit": np.asarray(2.0**-10, np.float32),
        }
        if kind is CubaLIF:
            values["current_decay"] = np.asarray(self.rng.integers(0, 4096), np.int32)
        return kind(self.shape, **values)

    def block(self, *, residual, feedback):
        start, before = self.last, self.shape
        synapse = self.same_shape() if residual and self.maybe() else self.synapse()
        self.add("synapse", synapse)
        fan = int(np.prod(synapse.weight.shape[1:]))
        self.plain()
        entry = self.shape
        summed = self.last
        neuron = self.add("neuron", self.neuron(fan))
        if residual and before == entry and start != summed:
            self.edges.append((start, neuron))
        if feedback:
            self._feedback(neuron)
        if self.maybe(0.3):
            self.plain()
        if residual and self.shape == before and self.maybe():
            self.beside = [start]  # the branches add straight into what comes next

    def _feedback(self, neuron):
        """neuron -> synapse -> delay -> neuron, the delay in front or behind."""
        shape = self.shape
        if len(shape) == 1:
            back = Linear(self.numbers(shape[0], shape[0]))
        else:
            factor = self.rng.integers(-1, 2, shape[:1]).astype(np.int32 if self.integers else np.float32)
            back = Scale(factor)
        nodes = [("back", back), ("past", Delay(shape, int(self.rng.integers(1, 3))))]
        end = self.last
        for stem, node in nodes if self.maybe() else nodes[::-1]:
            self.add(stem, node)
        self.edges.append((self.last, neuron))
        self.last = end

    def leave(self, readout):
        if not readout:
            feeds_back = any(source == self.last for source, _ in self.edges)
            if feeds_back:
                self.add("synapse", self.synapse())
            if feeds_back or not isinstance(self.nodes[self.last], LIF):
                self.add("neuron", self.neuron(4))
            return
        if len(self.shape) > 1 and self.maybe():
            self.add("flat", Flatten())
        if self.maybe():
            self.add("synapse", self.synapse())
        if self.integers:
            weight = self.rng.integers(-3, 4, self.steps).astype(np.int32)
            bias = np.asarray(self.rng.integers(-100, 100, self.shape[:1]), np.int64)
            self.add("readout", Readout(self.shape, weight, bias, np.asarray(0.125, np.float32)))
        else:
            weight = np.asarray(self.rng.choice([0.25, 0.5, 1], self.steps), np.float32)
            self.add("readout", Readout(self.shape, weight, self.numbers(*self.shape[:1])))

    def graph(self, names):
        arithmetic = Loihi(LOIHI2) if self.integers else Real(self.kind)
        nodes = {names[name]: node for name, node in self.nodes.items()}
        edges = tuple((names[a], names[b]) for a, b in self.edges)
        return Graph(nodes, edges, self.steps, arithmetic, provenance={"seed": 1, "from": "strategies"})
