"""A random network in the making, node by node: what may occur in it, and how nodes are joined."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from operation_maker import operate
from output_maker import leave_too
from random_numbers import Numbers
from spikeport.findings import SpikeportError
from spikeport.graph import (
    ALIF,
    LIF,
    LOIHI2,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Linear,
    Loihi,
    Norm,
    Pool,
    Profile,
    Readout,
    Real,
    Scale,
)

ODD_NAMES = [
    "a/b",
    "layer.0.lif",
    "ünï",
    "神経",
    "",
    " ",
    "input",
    "output",
    ".",
    "..",
    "x\ty",
    "0",
    "a_b",
    "metadata",
    "%2F",
]
SHAPES = ((5,), (3,), (3, 6), (2, 6, 5), (1, 5, 7), (4, 6, 6))


@dataclass(frozen=True)
class Wish:
    """What may occur in a graph; every option is drawn unless said."""

    arithmetic: str = "loihi"  #: or float32, float64
    profile: Profile | None = LOIHI2  #: of integers; None draws one
    timesteps: int = 10  #: at most
    blocks: int = 6  #: neuron layers with what is around them, at most
    shapes: tuple = SHAPES  #: of the input
    coding: str | None = None  #: direct or events
    recurrent: bool | None = None
    readout: bool | None = None  #: at the end; False: neurons
    norms: bool = True  #: in real numbers
    delays: bool = True  #: besides those of feedback
    scales: bool = True
    pools: bool = True
    operations: bool = False
    outputs: bool = False  #: several, now and then
    odd_bits: bool = False
    odd_names: bool = False
    resets: tuple = ("zero", "zero", "subtract", "value", "none")
    kinds: tuple = (LIF, LIF, CubaLIF)


@dataclass
class Maker:
    """A graph in the making, drawn node by node."""

    wish: Wish
    numbers: Numbers
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    shape: tuple = ()
    last: str = ""
    seen: list = field(default_factory=list)  # layers of spikes, and their shapes
    beside: list = field(default_factory=list)  # what enters the next node too, and adds there
    outputs: list = field(default_factory=list)  # of several, the one that decides first

    @property
    def rng(self):
        return self.numbers.rng

    def add(self, kind, node):
        name = f"{kind}{len(self.nodes)}"
        if self.last:
            self.edges += [(source, name) for source in (self.last, *self.beside)]
        self.nodes[name] = node
        self.last, self.beside, self.shape = name, [], node.output_shape(self.shape)
        return name

    def aside(self, kind, node, *edges):
        """A node beside the main way; in ``edges`` None stands for it. Its name."""
        name = f"{kind}{len(self.nodes)}"
        self.nodes[name] = node
        self.edges += [(a or name, b or name) for a, b in edges]
        return name

    # -- synapses

    def synapse(self):
        """A random synapse; sometimes one that keeps the shape, so that a branch can be added behind it."""
        n, axes = self.numbers, len(self.shape) - 1
        if axes == 0 or n.maybe(0.15):
            if axes:
                self.add("flat", Flatten())
            outputs = int(self.rng.integers(1, 7))
            return self.add("fc", Linear(n.weights(outputs, self.shape[0]), n.synapse_bias(outputs), n.exponent()))
        channels = self.shape[0]
        while True:
            groups = n.pick(*(g for g in range(1, channels + 1) if channels % g == 0))
            outputs = groups * int(self.rng.integers(1, 4))
            weight = n.weights(outputs, channels // groups, *self.rng.integers(1, 4, axes))
            options = {
                key: tuple(int(v) for v in self.rng.integers(low, high, axes))
                for key, low, high in (("stride", 1, 3), ("padding", 0, 3), ("dilation", 1, 3))
            }
            node = Conv(weight, n.synapse_bias(outputs), n.exponent(), groups=groups, **options)
            if fits(node, self.shape):
                return self.add("conv", node)

    def same_shape(self, shape, inputs=None, *, wide=True):
        """A synapse to ``shape`` from values of the same extent; ``inputs`` channels where these are others."""
        n, axes = self.numbers, len(shape) - 1
        size = (shape[0], inputs or shape[0])
        if axes == 0:
            return Linear(n.weights(*size), exponent=n.exponent())
        half = tuple(int(v) for v in self.rng.integers(0, 2 if wide else 1, axes))
        weight, ones = n.weights(*size, *(2 * h + 1 for h in half)), (1,) * axes
        return Conv(weight, exponent=n.exponent(), stride=ones, padding=half, dilation=ones)

    # -- nodes without weights

    def pool(self):
        axes, n = len(self.shape) - 1, self.numbers
        kernel, stride = (tuple(int(v) for v in self.rng.integers(1, 3, axes)) for _ in range(2))
        kind = "sum" if n.integers else n.pick("sum", "average")
        node = Pool(kind, kernel, stride, tuple(int(self.rng.integers(0, k + 1)) for k in kernel))
        if self.wish.pools and axes and fits(node, self.shape):
            self.add("pool", node)

    def norm(self):
        n, c = self.numbers, self.shape[:1]
        var = np.asarray(self.rng.choice([0.25, 1, 4], c), np.float32)
        three = (n.fraction(c, -16, 16, 8) for _ in range(3))
        self.add("norm", Norm(*three, var, eps=0.0, scale=float(n.pick(0.5, 1))))

    def plain(self):
        """A node without weights, or none."""
        choice = self.numbers.pick("pool", "scale", "norm", "delay", "flat", "none", "none")
        if choice == "pool":
            self.pool()
        elif choice == "scale" and self.wish.scales:
            self.add("scale", Scale(self.numbers.factor(self.shape)))
        elif choice == "norm" and self.wish.norms and not self.numbers.integers:
            self.norm()
        elif choice == "delay" and self.wish.delays:
            self.add("delay", Delay(self.shape, int(self.rng.integers(1, 4))))
        elif choice == "flat" and len(self.shape) > 1 and self.numbers.maybe(0.3):
            self.add("flat", Flatten())

    # -- layers

    def neurons(self, fan):
        n, shape = self.numbers, self.shape
        kind = n.pick(*self.wish.kinds)
        options = n.neuron(shape, fan, n.pick(*self.wish.resets))
        if kind is CubaLIF:
            options["current_decay"] = n.decay(shape, of_current=True)
        elif kind is ALIF:
            options["adaptation_decay"] = n.decay(shape)
            options["adaptation"] = n.over(lambda size: n.fraction(size, -2, 8, 8), shape)
        return self.add(kind.__name__.lower(), kind(shape, **options))

    def block(self):
        n = self.numbers
        if n.maybe(0.5 if self.beside else 0.25):
            self.plain()
        before, shape = self.last, self.shape
        if n.maybe(0.4):
            node = self.same_shape(shape)
            self.add("fc" if isinstance(node, Linear) else "conv", node)
        else:
            self.synapse()
        fan = int(np.prod(self.nodes[self.last].weight.shape[1:]))
        if n.maybe(0.3):
            self.plain()
        summed = self.last
        name = self.neurons(fan)
        if n.maybe(0.25):
            self.skip(before, shape, summed, name)
        if self.wish.recurrent is not False and n.maybe(0.15):
            self.feed_back(name)
        if n.maybe(0.25):
            self.plain()
        if self.wish.operations and n.maybe(0.8):
            operate(self)
        self.seen.append((name, self.nodes[name].shape))
        others = [other for other, kept in self.seen if kept == self.shape and other != self.last]
        if others and n.maybe(0.7):
            self.join(n.pick(*others))

    def skip(self, source, shape, summed, name):
        """A plain residual into the neurons: what entered the layer, as it is or through a synapse of its own."""
        entered = self.shape
        if shape == entered and source != summed and self.numbers.maybe(0.3):
            self.edges.append((source, name))
        elif shape[1:] == entered[1:]:
            self.aside("skip", self.same_shape(entered, shape[0], wide=False), (source, None), (None, name))

    def feed_back(self, name):
        """The layer's spikes enter it again, later, through weights of their own."""
        shape, n = self.nodes[name].shape, self.numbers
        spread = self.wish.scales and n.maybe(0.3)
        back = Scale(n.factor(shape)) if spread else self.same_shape(shape, wide=False)
        steps = [("back", back), ("past", Delay(shape, int(self.rng.integers(1, 3))))]
        first, second = steps if n.maybe() else steps[::-1]
        begun = self.aside(*first, (name, None))
        self.aside(*second, (begun, None), (None, name))

    def join(self, other):
        """A residual: the sum of two branches, straight into what comes next, or a node of its own (a Scale of one)."""
        if not self.wish.scales or self.numbers.maybe():
            self.beside = [other]  # nothing adds there if nothing comes next
        else:
            one = np.asarray(1 if self.numbers.integers else 1.0)
            self.edges.append((other, self.add("sum", Scale(one))))

    def leave(self):
        n = self.numbers
        leads_on = any(source == self.last for source, _ in self.edges)  # into its own feedback
        readout = n.maybe(0.7) if self.wish.readout is None else self.wish.readout
        if readout:
            if n.maybe():
                self.synapse()
            elif len(self.shape) > 1 and n.maybe(0.3):
                self.add("flat", Flatten())
            self.add("out", Readout(self.shape, **n.readout(self.shape)))
        elif leads_on or (self.wish.readout is False and not isinstance(self.nodes[self.last], LIF)):
            self.synapse()
            self.neurons(4)
        if self.wish.outputs:
            leave_too(self)

    def graph(self):
        names = {name: name for name in self.nodes}
        if self.wish.odd_names:
            pool = self.rng.permutation(ODD_NAMES).tolist()
            chosen = [name for name in self.nodes if self.numbers.maybe()]
            names |= dict(zip(chosen, pool, strict=False))
        arithmetic = Loihi(self.numbers.profile) if self.numbers.integers else Real(self.wish.arithmetic)
        nodes = {names[name]: renamed(node, names) for name, node in self.nodes.items()}
        edges = tuple((names[a], names[b]) for a, b in self.edges)
        outputs = tuple(names[name] for name in self.outputs)
        return Graph(nodes, edges, self.numbers.steps, arithmetic, provenance={"drawn": True}, named_outputs=outputs)


def renamed(node, names):
    operands = tuple(names[name] for name in getattr(node, "operands", ()))
    return node.with_(operands=operands) if operands else node


def fits(node, shape):
    try:
        node.output_shape(shape)
    except SpikeportError:
        return False
    return True
