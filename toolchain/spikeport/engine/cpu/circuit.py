"""A cycle of nodes that a tape can hold, laid out once; then any number of calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import Tensor

from spikeport.engine.cpu import convolution, kernels
from spikeport.engine.cpu.fused import NOTHING, Layer, added, fired, unflat
from spikeport.engine.cpu.gather import Matrix, padded
from spikeport.engine.cpu.listing import MARGIN
from spikeport.engine.cpu.maps import listable, planned
from spikeport.engine.cpu.matrix import laid_out
from spikeport.engine.cpu.recorder import Part, Recorder, joined
from spikeport.engine.cpu.structures import KINDS, Constants, Lists, Parameters, Plan, Rules, Scratch
from spikeport.engine.cpu.tape import WHOLE, Passage, Row, Tape, Windows, around
from spikeport.engine.neuron import Fired, Neurons, flat
from spikeport.graph import LIF, Array, Conv, Delay, Gate, Graph, Linear, Range, Scale, Shape
from spikeport.threads import over_parts

ZERO = np.int32(0)
SHARED = Constants(ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, None, ZERO, ZERO)  #: by all layers of integers


@dataclass(frozen=True)
class Circuit:
    """The nodes of a cycle. All numbers of a node lie with its channels last."""

    tape: Tape
    real: Rules | None  #: what all layers share; None of integers
    parameters: Parameters  #: of all layers, one behind the other
    layers: Mapping[str, LIF]
    outside: Mapping[str, Part]  #: nodes whose numbers enter, and as what
    shapes: Mapping[Part, Shape]  #: of all of them, and of its own
    places: Mapping[Part, int]  #: of these in the row of a step
    row: int  #: numbers of a step
    past: int  #: numbers that delays hold
    longest: int  #: sum
    plans: tuple[Plan, ...]  #: of convolutions

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
        every, (real, tape) = self.parameters, self._watching(watch)
        if len(every.threshold) > 1:
            every = every._replace(threshold=every.threshold[start : start + steps])

        def part(begin: int, end: int) -> Array:
            counts = np.zeros((len(self.layers), steps, KINDS), np.int64)
            row = self._row()
            whole = SHARED if real is None else None
            told = real, whole, every, spikes, after, y, outward, held, row, self._windows()
            around(x, inward, tape, *told, kernels.block(x, every, spikes.dtype), counts, done, begin, end)
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

    def _watching(self, watch: bool) -> tuple[Rules | None, Tape]:
        """What neurons share and the tape; they count all that they do if ``watch``, or in any case."""
        if self.real is not None:
            return self.real._replace(bare=np.int32(not watch)), self.tape
        own = self.tape.own.copy()
        if watch:
            own[:, WHOLE.index("watch")], own[:, WHOLE.index("bare")] = 1, 0
        return None, self.tape._replace(own=own)

    def _row(self) -> Row:
        """What the loop works in."""
        dtype, who = self.parameters.bias.dtype, np.empty(self.longest + MARGIN, np.int32)
        return Row(np.zeros(self.row, dtype), np.zeros(self.longest, dtype), who)

    def _windows(self) -> Windows | None:
        """What convolutions work in, as large as the largest needs."""
        if not self.plans:
            return None
        places = max(plan.size[0] * plan.size[1] for plan in self.plans)
        listed = max(plan.size[1] * plan.kernel[0] * plan.size[2] for plan in self.plans)
        columns = np.empty(max(plan.size[1] for plan in self.plans) + 1, np.int64)
        return Windows(
            Lists(np.empty(self.longest + MARGIN, np.int32), np.empty(places + 1, np.int64)),
            Scratch(np.empty(listed + MARGIN, np.int32), columns, None),
            np.empty(max(padded(plan.channels) for plan in self.plans), self.parameters.bias.dtype),
        )

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
    graph: Graph,
    names: tuple[str, ...],
    own: tuple[str, ...],
    neurons: Mapping[str, Neurons],
    dtype: np.dtype[Any],
    entering: Mapping[str, Range | None],
) -> Circuit | None:
    """The nodes of a cycle in the order of a step, its neurons ready; None where a tape does not hold them.

    It holds neurons that fire once at most, real ones all by the same comparison, matrices of features, convolutions
    of spikes, scales, gates and delays; and before these matrices of its ``own``, through which something enters the
    cycle: it is what enters the call. Integers are in ``entering``; None where 32 bits do not hold a matrix's sums.
    """
    layers = {name: layer for name in names if isinstance(layer := neurons.get(name), Layer)}
    rules = [each.rules for each in layers.values() if isinstance(each.rules, Rules)]
    alike = len({(each.at_zero, each.most) for each in rules}) < 2
    if not alike or not all(_holds(graph, name, layers, entering[name]) for name in names):
        return None
    convolutions = {name: node for name in names if isinstance(node := graph.nodes[name], Conv)}
    plans = {name: _plan(node, graph.input_shape(name)) for name, node in convolutions.items()}
    matrices = {name: laid_out(node, dtype, _size(entering[name])) for name, node in _matrices(graph, (*own, *names))}
    matrices |= {name: convolution.laid_out(node, plans[name], dtype) for name, node in convolutions.items()}
    sources = dict.fromkeys(s for name in names for s in graph.sources(name) if s not in names)
    outside: dict[str, Part] = {source: (source,) if source in own else source for source in sources}
    if not outside or None in matrices.values():
        return None
    shapes: dict[Part, Shape] = {name: graph.shapes[name] for name in (*outside, *names)}
    shapes |= {outside[name]: graph.input_shape(name) for name in own}
    places: dict[Part, int] = {}
    end = 0
    for part, shape in shapes.items():
        places[part] = end
        end += padded(int(np.prod(shape)))
    recorder = Recorder(graph, layers, cast(Mapping[str, Matrix], matrices), plans, places, dtype)
    for name in (*own, *names):
        recorder.record(name, alone=name in own)
    nobody = Rules(None, ZERO, ZERO, ZERO, None, np.int32(1))
    real = None if dtype.kind == "i" else rules[0] if rules else nobody
    longest = max(padded(int(np.prod(shape))) for shape in shapes.values())
    nodes = {name: layer.node for name, layer in layers.items()}
    parameters = joined(layers, dtype)
    return Circuit(
        recorder.tape(),
        real,
        parameters,
        nodes,
        outside,
        shapes,
        places,
        end,
        recorder.past,
        longest,
        (*plans.values(),),
    )


def _matrices(graph: Graph, names: Iterable[str]) -> list[tuple[str, Linear]]:
    return [(name, node) for name in names if isinstance(node := graph.nodes[name], Linear)]


def _size(x: Range | None) -> int | None:
    """The largest of some whole numbers; None of others."""
    return None if x is None else int(x.size)


def _plan(node: Conv, shape: Shape) -> Plan:
    """How windows lie on a map of spikes, none of whose channels are missing."""
    plan = planned(node, shape, 1, lanes=0, taps=1, together=0)
    return plan._replace(size=(*plan.size[:2], shape[0]))


def _holds(graph: Graph, name: str, layers: Mapping[str, Layer], x: Range | None) -> bool:
    node, shape = graph.nodes[name], graph.shapes[name]
    if isinstance(node, LIF):
        return name in layers and node.most_spikes == 1
    if isinstance(node, Linear):
        return len(shape) == 1
    if isinstance(node, Conv):
        return x is not None and x.high <= 1 and listable(node, x)
    alike = all(graph.shapes[source] == shape for source in graph.sources(name))
    return isinstance(node, Scale | Gate | Delay) and alike
