"""The graph while it is drawn up: nodes, what enters them, and neurons that wait for the number of timesteps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport.findings import SpikeportError
from spikeport.graph import (
    Array,
    Concat,
    Delay,
    Edge,
    Gate,
    Input,
    Maximum,
    Node,
    Norm,
    Operation,
    Scale,
    Shape,
    StepAffine,
)
from spikeport.tracing.digests import digest
from spikeport.tracing.symbols import ALL, PAST, REFRACTORY, Axes, Out, Product, Symbol, Unsupported
from spikeport.tracing.timing import When, counted, joint, timing
from spikeport.tracing.waiting import Waiting, memoryless

if TYPE_CHECKING:
    from spikeport.tracing.fading import Fading

LATER = ""  #: an operand that was zero so far


@dataclass
class Draft:
    """What the tracer writes into."""

    dtype: np.dtype[Any]
    nodes: dict[str, Node | Waiting] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    keys: dict[tuple[Any, ...], str] = field(default_factory=dict)
    steady: set[str] = field(default_factory=set)  #: nodes that give the same at every step
    gates: dict[str, tuple[str, str, str]] = field(default_factory=dict)  #: name -> (and | iand, a, b)
    causes: dict[str, frozenset[int]] = field(default_factory=dict)  #: findings about what a node is
    expand: Callable[[Symbol], Symbol] = lambda x: x  #: membranes as what they were made of
    leaks: bool = False  #: whether membranes that only leak may stand between layers (`leaks`)
    even: set[str] = field(default_factory=set)  #: neurons of membranes that torch rounds, to the even number at a half
    fading: dict[str, Fading] = field(default_factory=dict)  #: membranes that only leak, of all steps (`fading`)
    kept: list[Symbol] = field(default_factory=list)  #: symbols whose identity counts, so that it stays their own

    def number(self, value: Any) -> Array:
        """An array in the graph's float type."""
        return np.asarray(value, dtype=self.dtype)

    def name(self, path: str, alone: bool, op: str) -> str:
        """A name that is free: the module's path where the module does only this, else path and operation."""
        base = path if alone and path else ".".join(part for part in (path, op) if part)
        name, count = base, 1
        while name in self.nodes:
            count += 1
            name = f"{base}#{count}"
        return name

    def source(self, name: str, shape: Shape, coding: str, axes: Axes, step: int | None) -> Symbol:
        """The input, or one step of it."""
        if name not in self.nodes:
            self.nodes[name] = Input(shape, coding=coding)  # type: ignore[arg-type]
            self.shapes[name] = shape
            if coding == "direct":
                self.steady.add(name)
        return Symbol({frozenset([Out(name, step)]): np.ones(())}, shape, axes)

    def apply(self, node: Node, x: Symbol, axes: Axes, path: str, alone: bool, op: str) -> Symbol:
        """The result of a node without state; the same node over the same inputs is drawn once."""
        names, when = self.entering(x, path)
        if isinstance(when, Mapping) and isinstance(node, Norm):
            raise Unsupported("normalises a sum over time; normalise before the sum")
        if isinstance(when, Mapping) and isinstance(node, Maximum):
            raise Unsupported("takes the highest of sums over time", mend="take it at each step, before the sum")
        key = self.key(node, x, path, op)
        if key not in self.keys:
            try:
                shape = node.output_shape(x.shape)
            except SpikeportError as error:
                raise Unsupported(error.findings[0].what) from error
            self.keys[key] = name = self.name(path, alone, op)
            self.add(name, node, names, shape, x.causes)
        name = self.keys[key]
        return Symbol(self.terms(name, when), self.shapes[name], axes, causes=x.causes)

    def key(self, node: Node, x: Symbol, path: str, op: str) -> tuple[Any, ...]:
        """What a node without state is known by."""
        return (path, op, tuple(sorted(self.entering(x, path)[0])), digest(node))

    def join(
        self,
        build: Callable[[tuple[str, ...]], Operation],
        parts: Sequence[Symbol | Shape],
        lead: Axes,
        path: str,
        alone: bool,
    ) -> Symbol:
        """The result of an operation of several operands, whose axes of time and batch are ``lead``.

        An operand that is given by its shape alone is zero before some step: what it is, the same call says later.
        """
        entering = [([], None) if isinstance(x, tuple) else self.entering(x, path) for x in parts]
        steps = {when for _, when in entering if isinstance(when, int)}
        last: When = max(steps, default=None)
        if any(isinstance(when, Mapping) for _, when in entering):
            last, shares = joint([when for _, when in entering])
            if not isinstance(build(("",) * len(parts)), Concat):
                raise Unsupported("joins sums over time")
            entering = [
                ([self.times(n, r) for n in names], last) for (names, _), r in zip(entering, shares, strict=True)
            ]
        elif ALL in steps and len(steps) > 1:
            raise Unsupported("joins one step's value with every step's")
        lags = [last - when if isinstance(when, int) and isinstance(last, int) else 0 for _, when in entering]
        operands = [
            self.delayed(self._one(names, path), lag) if names else LATER
            for (names, _), lag in zip(entering, lags, strict=True)
        ]
        node = build(tuple(operands))
        shapes = [x if isinstance(x, tuple) else self.shapes[name] for x, name in zip(parts, operands, strict=True)]
        try:
            shape = node.output_shape(*shapes)
        except SpikeportError as error:
            raise Unsupported(error.findings[0].what) from error
        op = type(node).__name__.lower()
        causes = frozenset[int]().union(*(x.causes for x in parts if isinstance(x, Symbol)))
        late = build(tuple(LATER if lag else name for name, lag in zip(operands, lags, strict=True)))
        key = (path, op, digest(late))
        if key not in self.keys:
            self.keys[key] = self.name(path, alone, op)
            self.add(self.keys[key], node, [name for name in dict.fromkeys(operands) if name != LATER], shape, causes)
        name = self.keys[key]
        self._fill(name, node)
        axes = (*lead, *((n,) for n in range(len(shape))))
        return Symbol(self.terms(name, last), shape, axes, causes=causes)

    def _fill(self, name: str, node: Operation) -> None:
        """Give an operation the operands that were zero at its first steps."""
        before = self.nodes[name]
        assert isinstance(before, Operation)
        if LATER in before.operands and LATER not in node.operands:
            self.nodes[name] = node
            self.edges += [
                (operand, name) for operand in dict.fromkeys(node.operands) if operand not in before.operands
            ]
        elif before.operands != node.operands:
            raise Unsupported("joins other values at other steps")

    def _one(self, names: list[str], path: str) -> str:
        """The node whose value is a sum of nodes."""
        if len(names) == 1:
            return names[0]
        return self.once(("one", *sorted(names)), path, "operand", Scale(self.number(1.0)), names)

    def terms(self, name: str, when: When) -> dict[frozenset[Any], Array]:
        """What leaves a node, where it was over time."""
        if isinstance(when, Mapping):
            if name in self.steady:
                return {frozenset([Out(name, None)]): np.asarray(sum(when.values()))}
            return {frozenset([Out(name, step)]): np.asarray(weight) for step, weight in when.items()}
        return {frozenset([Out(name, None if name in self.steady else when)]): np.ones(())}

    def entering(self, x: Symbol, path: str) -> tuple[list[str], When]:
        """The nodes whose sum ``x`` is, and how it lies in time; factors and constants become nodes of their own."""
        x = self.gated(x)
        factors, lags, when = timing(x)
        if not factors:
            raise Unsupported("takes a value that does not depend on the network's input")
        constant = x.constant / counted(when) if x.constant.any() and isinstance(when, Mapping) else x.constant
        names = []
        for (name, factor), lag in zip(factors.items(), lags, strict=True):
            before = self.delayed(name, lag)
            if len(factors) == 1 and constant.any() and factor.ndim <= 1 and constant.ndim <= 1:
                names.append(self.norm(before, factor, constant, x.shape))
                constant = np.zeros(())
            else:
                names.append(self.times(before, factor))
        return ([self._affine(names, np.ones(()), constant, x.shape, path)] if constant.any() else names), when

    def times(self, name: str, factor: Array) -> str:
        """``factor`` times what leaves a node; the node itself where the factor is 1."""
        if factor.ndim == 0 and float(factor) == 1:
            return name
        kept = self.number(factor)
        if factor.ndim == 1:
            return self.norm(name, factor, np.zeros(()), self.shapes[name])
        word = f"times{float(factor):g}" if factor.ndim == 0 else "times"
        return self.once(("times", name, kept.tobytes()), name, word, Scale(kept), [name])

    def delayed(self, name: str, steps: int) -> str:
        """What left a node so many steps ago."""
        if not steps:
            return name
        return self.once(("delay", name, steps), name, f"after{steps}", Delay(self.shapes[name], steps), [name])

    def norm(self, name: str, factor: Array, constant: Array, shape: Shape) -> str:
        """factor * what leaves a node + constant, a channel."""
        return self._affine([name], factor, constant, shape, name)

    def _affine(self, names: list[str], factor: Array, constant: Array, shape: Shape, base: str) -> str:
        if constant.ndim > 1:
            raise Unsupported(f"adds a constant a neuron, of shape {constant.shape}; one a channel can be held")
        channels = shape[:1]
        if any(value.size not in (1, *channels) for value in (factor, constant)):
            raise Unsupported(
                f"has {max(factor.size, constant.size)} factors for the {channels[0]} channels of {base!r}"
            )
        gamma, beta = (self.number(np.broadcast_to(v, channels)) for v in (factor, constant))
        norm = Norm(gamma, beta, self.number(np.zeros(channels)), self.number(np.ones(channels)), eps=0.0)
        return self.once(("norm", *sorted(names), gamma.tobytes(), beta.tobytes()), base, "shift", norm, names)

    def once(self, key: tuple[Any, ...], base: str, word: str, node: Node, names: list[str]) -> str:
        """The node behind ``names``, drawn once for each key."""
        if key not in self.keys:
            self.keys[key] = self.name(base, False, word)
            self.add(self.keys[key], node, names, node.output_shape(self.shapes[names[0]]))
        return self.keys[key]

    def gated(self, x: Symbol) -> Symbol:
        """``x`` with products of two spike maps as neurons of their own: a and b = [a + b > 1.5]; b and not a."""
        x = self.expand(x)
        terms: dict[Product, Array] = {}
        left = dict(x.terms)
        for product, factor in x.terms.items():
            if len(product) < 2 or not factor.any():
                continue
            if not all(isinstance(f, Out) for f in product):
                raise Unsupported("takes values gated by a membrane of a hand-written neuron; only spikes pass on")
            a, b, *more = sorted(f for f in product if isinstance(f, Out))
            if more or a.step != b.step:
                raise Unsupported(PAST, mend=REFRACTORY)
            del left[product]
            for first, second in ((a, b), (b, a)) if self.fire(a.node, b.node) else ():
                alone = left.get(frozenset([second]))
                if alone is not None and alone.ndim == factor.ndim and np.array_equal(alone, -factor):
                    del left[frozenset([second])]
                    terms[frozenset([Out(self.gate("iand", first.node, second.node), a.step)])] = -factor
                    break
            else:
                both = self.gate("and", a.node, b.node) if self.fire(a.node, b.node) else self.product(a.node, b.node)
                terms[frozenset([Out(both, a.step)])] = factor
        return Symbol({**left, **terms}, x.shape, x.axes, x.constant, x.causes) if terms else x

    def fire(self, *names: str) -> bool:
        """Whether all are neuron layers, of one spike a step."""
        nodes = [self.nodes[name] for name in names]
        return all(isinstance(node, Waiting) and node.binary for node in nodes)

    def product(self, a: str, b: str) -> str:
        """The product of what leaves two nodes, where one of them is no spikes."""
        if ("product", a, b) not in self.keys:
            self.keys["product", a, b] = name = self.name(b, False, "gate")
            self.add(name, Gate(operands=(a, b)), [a, b], self.shapes[b])
        return self.keys["product", a, b]

    def gate(self, kind: str, a: str, b: str) -> str:
        """The neurons without memory that fire where both fire ("and"), or b and not a ("iand")."""
        key = (kind, a, b)
        if key not in self.keys:
            name = self.name(b, False, kind)
            names = [a, b] if kind == "and" else [self.times(a, np.asarray(-1.0)), b]
            self.add(name, memoryless(self.shapes[b], 1.5 if kind == "and" else 0.5), names, self.shapes[b])
            self.keys[key], self.gates[name] = name, (kind, a, b)
        return self.keys[key]

    def add(
        self, name: str, node: Node | Waiting, names: list[str], shape: Shape, causes: frozenset[int] = frozenset()
    ) -> None:
        """Put a node into the graph behind others."""
        self.nodes[name], self.shapes[name], self.causes[name] = node, shape, causes
        self.edges += [(source, name) for source in names]
        if not isinstance(node, Waiting | Delay | StepAffine) and all(source in self.steady for source in names):
            self.steady.add(name)
