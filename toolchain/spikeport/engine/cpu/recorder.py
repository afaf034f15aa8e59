"""How the nodes of a cycle are written on a tape, one by one, and the parameters of its neurons side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.fused import Layer
from spikeport.engine.cpu.gather import Matrix
from spikeport.engine.cpu.structures import Parameters, Plan
from spikeport.engine.cpu.tape import CONV, GATE, LINEAR, NEURONS, OWN, SCALE, WHOLE, Held, Operation, Tape
from spikeport.graph import LIF, Array, Conv, Delay, Gate, Graph, Linear, Node, Scale, Shape, Synapse, over_neurons

KIND: Mapping[type[Node], int] = {Scale: SCALE, Linear: LINEAR, Conv: CONV, Gate: GATE}
PLAN = 19  #: numbers of a plan
Part = str | tuple[str]  #: a node, or what enters a matrix of the circuit's own


class Recorder:
    """A tape that grows by a node at a time."""

    def __init__(
        self,
        graph: Graph,
        layers: Mapping[str, Layer],
        matrices: Mapping[str, Matrix],
        plans: Mapping[str, Plan],
        places: Mapping[Part, int],
        dtype: np.dtype[Any],
    ) -> None:
        """``matrices``: of every synapse; ``plans``: of convolutions; ``places``: of every node in the row of a step;
        ``dtype``: of a number there."""
        self.past = 0  #: numbers that delays hold
        self._plans = plans
        self._graph, self._layers, self._matrices, self._places = graph, layers, matrices, places
        self._operations: list[Operation] = []
        self._delays: list[Held] = []
        self._sources: list[int] = []
        self._numbers: list[Array] = [np.empty(0, dtype)]
        self._weights: list[Array] = [np.empty(0, np.int16 if dtype.kind == "i" else dtype)]
        sizes = [layer.node.size for layer in layers.values()]
        self._spikes = np.cumsum([0, *sizes])[:-1]
        # vectors of parameters may begin at a layer's last neuron
        ends = np.cumsum([0, *(size + kernels.LANES for size in sizes)])
        self._first = dict(zip(layers, ends[:-1].tolist(), strict=True))

    def record(self, name: str, *, alone: bool) -> None:
        """Write a node; one that stands ``alone`` before the cycle has a place of its own for what enters it."""
        graph, node, size = self._graph, self._graph.nodes[name], int(np.prod(self._graph.shapes[name]))
        entering = [source for operand in graph.operands(name) for source in operand]
        parts: list[Part] = [(name,)] if alone else [*entering]
        first, place, inputs = len(self._sources), self._places[name], int(np.prod(graph.input_shape(name)))
        self._sources += [self._places[part] for part in parts]
        if isinstance(node, Delay):
            self._delays.append(Held(size, place, first, len(parts), self.past, node.steps))
            self.past += size * node.steps
            return
        at = layer = rows = left = right = 0
        kind = NEURONS if isinstance(node, LIF) else KIND[type(node)]
        if isinstance(node, LIF):
            at, layer = self._first[name], list(self._layers).index(name)
        elif isinstance(node, Synapse):
            matrix = self._matrices[name]
            at, rows = _put(self._numbers, matrix.bias), _put(self._weights, matrix.weight)
            left, right = matrix.left or 0, matrix.right or 0
        elif isinstance(node, Scale):
            at = _put(self._numbers, _factors(node, graph.shapes[name]).astype(self._numbers[0].dtype))
        plan = list(self._plans).index(name) if name in self._plans else 0
        numbers = kind, size, place, first, len(parts), inputs, at, layer, rows, left, right, plan
        self._operations.append(Operation(*numbers))

    def tape(self) -> Tape:
        """What was written."""
        dtype = self._numbers[0].dtype
        fields, bits = WHOLE if dtype.kind == "i" else OWN, np.int64 if dtype.itemsize == 8 else np.int32
        own = [[getattr(layer.rules, field) for field in fields] for layer in self._layers.values()]
        return Tape(
            np.asarray(self._operations, np.int64).reshape(-1, len(Operation._fields)),
            np.asarray(self._delays, np.int64).reshape(-1, len(Held._fields)),
            np.asarray(self._sources, np.int64),
            np.concatenate(self._numbers),
            np.concatenate(self._weights),
            np.asarray([_one_by_one(plan) for plan in self._plans.values()], np.int64).reshape(-1, PLAN),
            np.asarray(own, bits).reshape(-1, len(fields)),
            self._spikes.astype(np.int64),
        )


def _one_by_one(plan: Plan) -> list[int]:
    """The numbers of a plan."""
    return [int(number) for each in plan for number in (each if isinstance(each, tuple) else (each,))]


def _put(parts: list[Array], values: Array) -> int:
    """Put numbers behind others; where they begin."""
    begin = sum(map(len, parts))
    parts.append(values)
    return begin


def _factors(node: Scale, shape: Shape) -> Array:
    """A factor for each value, channels last."""
    return np.moveaxis(np.broadcast_to(over_neurons(node.factor, shape), shape), 0, -1).ravel()


def joined(layers: Mapping[str, Layer], dtype: np.dtype[Any]) -> Parameters:
    """The parameters of all layers, one behind the other; those that no layer has are None."""
    steps = max((len(layer.parameters.threshold) for layer in layers.values()), default=1)
    whole = dtype.kind == "i"
    absent = {"low": np.iinfo(dtype).min if whole else -np.inf}  # of a layer where another has one
    always = {"decay", "bias", "threshold", "reset_value", *(() if whole else ("gain",))}

    def of(field: str) -> Array | None:
        known = [getattr(layer.parameters, field) for layer in layers.values()]
        if field not in always and all(value is None for value in known):
            return None
        parts = [np.empty((steps if field == "threshold" else 1, 0), dtype)]
        for layer, value in zip(layers.values(), known, strict=True):
            rows = np.full((1, layer.pattern), absent.get(field, 0), dtype) if value is None else np.atleast_2d(value)
            whole = np.tile(rows[:, : layer.pattern], layer.node.size // layer.pattern)
            whole = np.pad(whole, ((0, 0), (0, kernels.LANES)))
            parts.append(np.broadcast_to(whole, (len(parts[0]), whole.shape[1])))
        joined = np.concatenate(parts, axis=1)
        return joined if field == "threshold" else joined[0]

    return Parameters(*map(of, Parameters._fields))
