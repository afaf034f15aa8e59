"""A cycle of nodes that a tape can hold, laid out once; then any number of calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import Tensor

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.fused import NOTHING, Layer, added, fired, unflat
from spikeport.engine.cpu.gather import padded
from spikeport.engine.cpu.listing import MARGIN
from spikeport.engine.cpu.matrix import laid_out
from spikeport.engine.cpu.structures import KINDS, Parameters, Rules
from spikeport.engine.cpu.tape import GATE, LINEAR, NEURONS, SCALE, Held, Operation, Passage, Row, Tape, around
from spikeport.engine.neuron import Fired, Neurons, flat
from spikeport.graph import LIF, Array, Delay, Gate, Graph, Linear, Scale, Shape, over_neurons
from spikeport.threads import over_parts

KIND = {Scale: SCALE, Linear: LINEAR, Gate: GATE}
Part = str | tuple[str]  #: a node, or what enters a matrix of the circuit's own
ABSENT = {"low": -np.inf}  #: what stands for a parameter that a layer lacks and another one has; else zero


@dataclass(frozen=True)
class Circuit:
    """The nodes of a cycle. All numbers of a node lie with its channels last."""

    tape: Tape
    rules: Rules
    parameters: Parameters  #: of all layers, one behind the other
    layers: Mapping[str, LIF]
    outside: Mapping[str, Part]  #: nodes whose numbers enter, and as what
    shapes: Mapping[Part, Shape]  #: of all of them, and of its own
    places: Mapping[Part, int]  #: of these in the row of a step
    row: int  #: numbers of a step
    past: int  #: numbers that delays hold
    longest: int  #: sum

    def __call__(
        self,
        entering: Mapping[str, Tensor],
        state: tuple[Array, int] | None,
        start: int,
        steps: int,
        wanted: Iterable[str],
        *,
        keep: bool,
        watch: bool,
    ) -> tuple[dict[str, Fired], dict[str, Tensor], tuple[Array, int]]:
        """What the neurons did in some steps, the numbers of ``wanted`` nodes besides, and the state after them.

        ``entering``: of each node outside [T or 1, B, *shape]; ``start``: where the first step stands in the schedules.
        The state is what neurons and delays hold, and how many steps there were.
        """
        dtype = self.parameters.bias.dtype
        known = [np.asarray(flat(entering[name]), dtype) for name in self.outside]
        samples = next(iter(entering.values())).shape[1]
        names = [name for name in wanted if name not in self.layers]
        inward = self._passages(self.outside.values(), [len(each) for each in known], samples)
        outward = self._passages(names, [steps] * len(names), samples)
        x = np.concatenate([each.ravel() for each in known])
        y = np.empty(steps * samples * sum(map(self._size, names)), dtype)
        spikes = np.empty(steps * samples * sum(map(self._size, self.layers)), np.uint8)
        after = np.empty(spikes.size if keep else NOTHING, dtype)
        width = 3 * len(self.parameters.bias) + self.past
        held, done = (np.zeros((samples, width), dtype), 0) if state is None else state
        every, rules = self.parameters, self.rules._replace(bare=np.int32(not watch))
        if len(every.threshold) > 1:
            every = every._replace(threshold=every.threshold[start : start + steps])

        def part(begin: int, end: int) -> Array:
            counts = np.zeros((len(self.layers), steps, KINDS), np.int64)
            row = Row(
                np.zeros(self.row, dtype), np.zeros(self.longest, dtype), np.empty(self.longest + MARGIN, np.int32)
            )
            told = rules, every, spikes, after, y, outward, held, row, kernels.block(x, every, spikes.dtype)
            around(x, inward, self.tape, *told, counts, done, begin, end)
            return counts

        counts = added(over_parts(part, samples, step=1, weight=steps * self.row))

        def cut(values: Array, at: int, name: str) -> Tensor:
            size = self._size(name)
            return unflat(values[at : at + steps * samples * size].reshape(steps, samples, size), self.shapes[name])

        did = {}
        for number, name in enumerate(self.layers):
            at = int(self.tape.spikes[number]) * steps * samples
            did[name] = fired(cut(spikes, at, name), cut(after, at, name) if keep else None, None, counts[number])
        # laid out as plain operations leave them, which a sum over time rounds by
        made = {name: cut(y, int(row[2]), name).contiguous() for name, row in zip(names, outward, strict=True)}
        return did, made, (held, done + steps)

    def _size(self, part: Part) -> int:
        return int(np.prod(self.shapes[part]))

    def _passages(self, names: Iterable[Part], steps: Iterable[int], samples: int) -> Array:
        """A `Passage` for each node, of so many steps."""
        rows, at = [], 0
        for name, number in zip(names, steps, strict=True):
            size = self._size(name)
            rows.append(Passage(size, self.places[name], at, samples * size if number > 1 else 0))
            at += number * samples * size
        return np.asarray(rows, np.int64).reshape(-1, len(Passage._fields))


def prepare(
    graph: Graph, names: tuple[str, ...], own: tuple[str, ...], neurons: Mapping[str, Neurons], dtype: np.dtype[Any]
) -> Circuit | None:
    """The nodes of a cycle in the order of a step, its neurons ready; None where a tape does not hold them.

    It holds neurons that fire once at most, all by the same comparison, matrices of features, scales, gates and delays;
    and before these matrices of its ``own``, through which something enters the cycle: it is what enters the call.
    """
    layers = {name: layer for name in names if isinstance(layer := neurons.get(name), Layer)}
    rules = [cast(Rules, layer.rules) for layer in layers.values()]
    alike = len({(each.at_zero, each.most) for each in rules}) < 2
    if not alike or not all(_holds(graph, name, layers) for name in names):
        return None
    sources = dict.fromkeys(s for name in names for s in graph.sources(name) if s not in names)
    outside: dict[str, Part] = {source: (source,) if source in own else source for source in sources}
    if not outside:
        return None
    shapes: dict[Part, Shape] = {name: graph.shapes[name] for name in (*outside, *names)}
    shapes |= {outside[name]: graph.input_shape(name) for name in own}
    places: dict[Part, int] = {}
    end = 0
    for part, shape in shapes.items():
        places[part] = end
        end += padded(int(np.prod(shape)))
    first = _first_of(layers)
    tape, past = _recorded(graph, (*own, *names), own, layers, places, first, dtype)
    nobody = Rules(None, np.int32(0), np.int32(0), np.int32(0), None, np.int32(1))
    longest = max(padded(int(np.prod(shape))) for shape in shapes.values())
    nodes = {name: layer.node for name, layer in layers.items()}
    return Circuit(
        tape, rules[0] if rules else nobody, _joined(layers, dtype), nodes, outside, shapes, places, end, past, longest
    )


def _holds(graph: Graph, name: str, layers: Mapping[str, Layer]) -> bool:
    node, shape = graph.nodes[name], graph.shapes[name]
    if isinstance(node, LIF):
        return name in layers and node.most_spikes == 1
    if isinstance(node, Linear):
        return len(shape) == 1
    alike = all(graph.shapes[source] == shape for source in graph.sources(name))
    return isinstance(node, Scale | Gate | Delay) and alike


def _first_of(layers: Mapping[str, Layer]) -> dict[str, int]:
    """Where the parameters of each layer begin; vectors may begin at its last neuron."""
    ends = np.cumsum([0, *(layer.node.size + kernels.LANES for layer in layers.values())])
    return dict(zip(layers, ends[:-1].tolist(), strict=True))


def _recorded(
    graph: Graph,
    names: tuple[str, ...],
    own: tuple[str, ...],
    layers: Mapping[str, Layer],
    places: Mapping[Part, int],
    first: Mapping[str, int],
    dtype: np.dtype[Any],
) -> tuple[Tape, int]:
    """The tape, and how many numbers its delays hold."""
    operations, delays, past, length = [], [], 0, 0
    sources: list[int] = []
    numbers: list[Array] = []
    order = list(layers)
    for name in names:
        node, size = graph.nodes[name], int(np.prod(graph.shapes[name]))
        entering = [source for operand in graph.operands(name) for source in operand]
        parts: list[Part] = [(name,)] if name in own else [*entering]
        begins, inputs = len(sources), int(np.prod(graph.input_shape(name)))
        sources += [places[part] for part in parts]
        if isinstance(node, Delay):
            delays.append(Held(size, places[name], begins, len(parts), past, node.steps))
            past += size * node.steps
            continue
        layer = order.index(name) if name in first else 0
        held = [] if isinstance(node, LIF) else _numbers(node, graph.shapes[name], dtype)
        at, kind = first.get(name, length), NEURONS if isinstance(node, LIF) else KIND[type(node)]
        operations.append(Operation(kind, size, places[name], begins, len(parts), inputs, at, layer))
        numbers += held
        length += sum(map(len, held))
    resets = [[getattr(layer.rules, field) for field in ("subtract", "stay", "put")] for layer in layers.values()]
    spikes = np.cumsum([0, *(layer.node.size for layer in layers.values())])[:-1]
    bits = np.int64 if dtype.itemsize == 8 else np.int32
    tape = Tape(
        np.asarray(operations, np.int64).reshape(-1, len(Operation._fields)),
        np.asarray(delays, np.int64).reshape(-1, len(Held._fields)),
        np.asarray(sources, np.int64),
        np.concatenate([np.empty(0, dtype), *numbers]),
        np.asarray(resets, bits).reshape(-1, 3),
        spikes.astype(np.int64),
    )
    return tape, past


def _numbers(node: Any, shape: Shape, dtype: np.dtype[Any]) -> list[Array]:
    """What an operation needs of its node: factors; of a matrix bias and weights."""
    if isinstance(node, Linear):
        matrix = laid_out(node, dtype, None)
        assert matrix is not None  # of real numbers
        return [matrix.bias, matrix.weight]
    if isinstance(node, Scale):
        full = np.broadcast_to(over_neurons(node.factor, shape), shape)
        return [np.moveaxis(full, 0, -1).ravel().astype(dtype)]
    return []


def _joined(layers: Mapping[str, Layer], dtype: np.dtype[Any]) -> Parameters:
    """The parameters of all layers, one behind the other; those that no layer has are None."""
    steps = max((len(layer.parameters.threshold) for layer in layers.values()), default=1)

    def of(field: str) -> Array | None:
        known = [getattr(layer.parameters, field) for layer in layers.values()]
        if all(value is None for value in known) and known:
            return None
        parts = [np.empty((steps if field == "threshold" else 1, 0), dtype)]
        for layer, value in zip(layers.values(), known, strict=True):
            rows = np.full((1, layer.pattern), ABSENT.get(field, 0), dtype) if value is None else np.atleast_2d(value)
            whole = np.tile(rows[:, : layer.pattern], layer.node.size // layer.pattern)
            whole = np.pad(whole, ((0, 0), (0, kernels.LANES)))
            parts.append(np.broadcast_to(whole, (len(parts[0]), whole.shape[1])))
        joined = np.concatenate(parts, axis=1)
        return joined if field == "threshold" else joined[0]

    return Parameters(*map(of, Parameters._fields))
