"""The values that run between the nodes of an ONNX graph, and what every layout of time shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, Literal

import numpy as np

from spikeport.formats.onnx import number_of_steps
from spikeport.formats.onnx.builder import Builder
from spikeport.formats.onnx.integers import ranges
from spikeport.formats.onnx.number_of_steps import STEPS, Continuation
from spikeport.graph import ALIF, LIF, Array, Graph, Loihi, Node, Operation, Peak, Profile, Range, Shape
from spikeport.graph.ranges import into
from spikeport.graph.shifts import shift_each

Form = Literal["still", "flat", "time"]  #: [B, ...] the same at every step; [T * B, ...]; [T, B, ...]


@dataclass(frozen=True)
class Value:
    """A value on its way through the graph."""

    name: str
    form: Form
    shape: Shape


def spiking(graph: Graph) -> dict[str, LIF]:
    """The neuron layers whose spikes a model shows; a `Peak` has none."""
    return {name: node for name, node in graph.nodes_of(LIF).items() if not isinstance(node, Peak)}


@dataclass
class Layout:
    """Writes the nodes of a Graph, one by one, into a builder. Subclasses say what time looks like."""

    graph: Graph
    builder: Builder
    values: dict[str, Value] = field(default_factory=dict)
    stored: dict[str, dict[str, str]] = field(default_factory=dict)  #: node -> array -> initialiser
    old: bool = False  #: whether Loihi's operators are those that 0.1 wrote
    portable: bool = False  #: whether to leave out operators that few tools know, where others say the same
    free: Continuation | None = None  #: how schedules continue where the model runs any number of steps
    leading: dict[tuple[int, ...], str] = field(default_factory=dict)  #: shapes [T, *tail] that a run sets, by tail

    rules: Mapping[type[Node], Callable[[Any, str, Any, Any], Value]] = field(default_factory=dict)

    @property
    def integers(self) -> bool:
        """Whether the graph is in Loihi arithmetic."""
        return isinstance(self.graph.arithmetic, Loihi)

    @property
    def profile(self) -> Profile | None:
        """The format of whole numbers; None in real ones."""
        return self.graph.arithmetic.profile if isinstance(self.graph.arithmetic, Loihi) else None

    @cached_property
    def summed(self) -> Graph:
        """The graph with the weights that are added."""
        return shift_each(self.graph)

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """How large integers can get, behind each node."""
        return ranges(self.summed)

    def entering(self, name: str) -> Range:
        """How large integers can get in front of a node."""
        return into(self.graph, name, self.ranges)

    @cached_property
    def leaving(self) -> dict[str, str]:
        """What the model calls each output node: the first ``output``, further ones ``output/<node>``."""
        return {name: f"output/{name}" for name in self.graph.outputs} | {self.graph.output: "output"}

    def reserve(self) -> None:
        """Keep the names of the model's own inputs and outputs."""
        shown = (f"spikes/{name}" for name in spiking(self.graph))
        self.builder.names |= {"input", *self.leaving.values(), "t", STEPS, *shown}
        self.builder.names |= {f"{state}/{name}" for name in self.graph.nodes for state in ("v", "i", "past")}
        self.builder.names |= {f"{state}/{name}" for name in self.graph.nodes_of(ALIF) for state in ("a", "a_out")}
        self.builder.names |= {f"{state}_out/{name}" for name in self.graph.nodes for state in ("v", "i", "past")}

    def node(self, name: str) -> Value:
        """Write one node; the value that leaves it."""
        node = self.graph.nodes[name]
        self.stored.setdefault(name, {})
        if isinstance(node, Operation):
            return self.rules[Operation](self, name, node, self.operands(name))
        entering = self.sum(name) if self.graph.sources(name) else None
        return self.rules[type(node)](self, name, node, entering)

    def sum(self, name: str) -> Value:
        """What enters a node that is no operation: the sum of its sources."""
        (x,) = self.operands(name)
        return x

    def operands(self, name: str) -> list[Value]:
        """What enters a node, operand by operand: sums over edges."""
        return [self._sum(name, group) for group in self.graph.operands(name)]

    def _sum(self, name: str, sources: tuple[str, ...]) -> Value:
        values = [self.values[source] for source in sources]
        if len({value.form for value in values}) > 1:
            values = [self.row(value) for value in values]
        return reduce(lambda a, b: self._added(a, b, f"{name}/sum"), values)

    def _added(self, a: Value, b: Value, wish: str) -> Value:
        output = self.builder.op("Add", [a.name, b.name], wish)
        return Value(output, a.form, a.shape)

    def row(self, value: Value) -> Value:
        """[T, B, ...], or [1, B, ...] where the value is still: both broadcast."""
        if value.form != "still":
            return self.as_time(value)
        front = self.builder.constant([0], np.int64, "front")
        return replace(value, name=self.builder.op("Unsqueeze", [value.name, front], f"{value.name}/row"), form="time")

    def as_time(self, value: Value) -> Value:
        """The value as [T, B, ...]."""
        if value.form == "time":
            return value
        if value.form == "flat":
            shape = self.steps_by(-1, *value.shape)
            output = self.builder.op("Reshape", [value.name, shape], f"{value.name}/steps")
        else:
            shape = self.steps_by(*(1,) * (1 + len(value.shape)))
            output = self.builder.op("Expand", [self.row(value).name, shape], f"{value.name}/steps")
        return replace(value, name=output, form="time")

    def as_batch(self, value: Value) -> Value:
        """The value as [T * B, ...], or [B, ...] where it is still."""
        if value.form != "time":
            return value
        shape = self.builder.constant([-1, *value.shape], np.int64, "shape")
        return replace(value, name=self.builder.op("Reshape", [value.name, shape], f"{value.name}/flat"), form="flat")

    @cached_property
    def count(self) -> str:
        """The number of steps, int64 [1], where it is free."""
        return number_of_steps.count(self.graph, self.builder)

    def steps_by(self, *tail: int) -> str:
        """The shape [T, *tail]."""
        if self.free is None:
            return self.builder.constant([self.graph.timesteps, *tail], np.int64, "shape")
        if tail not in self.leading:
            rest = self.builder.constant(tail, np.int64, "shape")
            self.leading[tail] = self.builder.op("Concat", [self.count, rest], "shape/steps", axis=0)
        return self.leading[tail]

    @cached_property
    def within(self) -> str:
        """Where schedules are read at each step, int64 [T], where that number is free."""
        assert self.free is not None
        steps = number_of_steps.numbers(self.builder, self.count)
        return number_of_steps.within(self.builder, steps, self.graph.timesteps, self.free)

    def schedule(self, stored: str) -> str:
        """A schedule over the steps of this run."""
        if self.free is None:
            return stored
        return self.builder.op("Gather", [stored, self.within], f"{stored}/steps", axis=0)

    def stepwise(self, value: Value) -> Value:
        """A value that may differ from step to step, as what `at` gives broadcasts over it."""
        return self.as_time(value)

    def at(self, stored: str) -> str:
        """A schedule [T, 1, *shape or ones] at the steps of the values beside it."""
        return self.schedule(stored)

    def array(self, name: str, key: str, value: Array, dtype: Any = None) -> str:
        """An array of a node, in the type of the values unless told; remembers where its bits lie."""
        kind = np.dtype(dtype or self.builder.dtype)
        if self.portable:  # nobody reads it back: in the type of its use, since many tools take constants only
            value = value.astype(kind)
        stored, cast = self.builder.array(value, f"{name}/{key}", kind)
        self.stored[name][key] = stored
        return cast
