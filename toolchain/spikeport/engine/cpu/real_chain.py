"""A sample of real numbers, or a step of one, through layers one after the other: as `chain`, which is of integers.

Layers of neurons, and matrices that spikes enter, are prepared calls. Every other node is the function that a batch
calls, given as many values of the same layout: which way it takes may depend on them, and the order of its sums on
that. So every bit is the batch's. What passes between the nodes stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.cpu import kernels, matrix
from spikeport.engine.cpu.chain import MOST, Chain, of_a_step, own_loops
from spikeport.engine.cpu.cycle import Cycle, fed_back
from spikeport.engine.cpu.fused import Layer, counting, unflat
from spikeport.engine.cpu.listing import MARGIN
from spikeport.engine.cpu.small_sums import over_steps
from spikeport.engine.cpu.structures import KINDS, Parameters
from spikeport.engine.neuron import flat
from spikeport.engine.readout import Results, told
from spikeport.engine.synapse import Step
from spikeport.graph import LIF, Array, Delay, Linear, Operation, Real
from spikeport.machine import settled

if TYPE_CHECKING:
    from spikeport.engine.program import Program  # which imports the door


def prepare(program: Program, *, whole: bool = True) -> Chain | None:
    """The chain of a graph in real numbers, of one sample; None where it is none, or large."""
    graph, inner = program.graph, own_loops(program)
    if inner is None:
        return None
    names = [name for name in graph.order if name != graph.input and name not in inner]
    if not all(_one_way(program, name, inner) for name in names) or graph.outputs != (names[-1],):
        return None
    steps, layers = graph.timesteps if whole else 1, tuple(program.layers)
    if steps * program.products > MOST:  # what passes between its nodes would be held for all steps
        return None
    counts, totals = np.zeros((len(layers), steps, KINDS), np.int64), np.zeros((len(layers), KINDS), np.int64)
    x = torch.zeros((steps if graph.entry.coding == "events" else 1, 1, *graph.entry.shape), dtype=_type(program))
    chain = Chain(whole, x.numpy(), None, layers, counts, totals)
    for name in names:
        x = _Node(chain, program, name).leaving(x)
    chain.calls.append(settled(over_steps, counts, totals))
    chain.read = partial(_summed, program, x, steps) if whole else partial(_told, program, x)
    return chain


def _type(program: Program) -> torch.dtype:
    """In which the samples enter."""
    return program.entering[program.graph.input]


def _one_way(program: Program, name: str, inner: frozenset[str]) -> bool:
    """Whether a node has one source and one reader at most, and no state that is not of neurons."""
    graph, node = program.graph, program.graph.nodes[name]
    if isinstance(node, Delay) or (isinstance(node, Operation) and node.schedules):
        return False
    if isinstance(node, LIF):
        run = program.cycles[name] if name in program.cycles else program.neurons[name]
        if not isinstance(run, Cycle | Layer):
            return False
    return len(set(graph.sources(name)) - inner) == 1 and len(set(graph.targets(name)) - inner) <= 1


@dataclass(frozen=True)
class _Node:
    """A node on its way into a chain."""

    chain: Chain
    program: Program
    name: str

    def leaving(self, x: Tensor) -> Tensor:
        """What leaves it, for what enters: both stay where they are."""
        node, dtype = self.program.graph.nodes[self.name], self.program.entering[self.name]
        if x.dtype != dtype:
            x = self._called(lambda x: x.to(dtype), x)
        if isinstance(node, LIF):
            cycle = self.program.cycles.get(self.name)
            if cycle is not None:
                return self._fed_back(cast(Cycle, cycle), x)
            return self._fired(cast(Layer, self.program.neurons[self.name]), x)
        step = self.program.steps.get(self.name)
        if step is None:  # nothing is done, or the neurons make the sums
            return x
        most = matrix.added_for(node, self.program.incoming[self.name])
        return self._called(step, x) if most is None else self._added(cast(Linear, node), most, x)

    def _called(self, step: Step, x: Tensor) -> Tensor:
        """By a function of a batch."""
        into = torch.empty_like(step(x))
        self.chain.calls.append(partial(_put, step, x, into))
        return into

    def _flat(self, x: Tensor) -> Array:
        """The values as the loops see them."""
        values = flat(x)
        if not np.shares_memory(values, x.numpy()):
            self.chain.calls.append(lambda: np.copyto(values, flat(x)))
        return values

    def _added(self, node: Linear, most: int, x: Tensor) -> Tensor:
        """By rows of a matrix, as `matrix.of_spikes`."""
        values, rows = self._flat(x), matrix.laid_out(node, self._number, most)
        assert rows is not None
        out, who = np.zeros((len(values), node.channels), self._number), np.empty(rows.inputs + MARGIN, np.int32)
        self.chain.calls.append(
            settled(matrix.all_sums, values.ravel(), rows, who, np.empty_like(rows.bias), out, 0, len(out))
        )
        return torch.from_numpy(out.reshape(len(out), 1, -1))

    def _fired(self, layer: Layer, x: Tensor) -> Tensor:
        """By neurons."""
        values, node = self._flat(x), layer.node
        spikes, parameters = np.zeros((self._steps, node.size), counting(node)), self._of_a_step(layer)
        state, block = self._carried(layer, node.size), kernels.block(values, parameters, spikes.dtype)
        told = values, layer.rules, parameters, spikes, self._nothing, state, block, self._counts, 0, node.size
        self.chain.calls.append(settled(kernels.neurons, *told))
        if not self.chain.whole:
            self.chain.states[self.name] = (state,)
        return unflat(spikes.reshape(self._steps, 1, -1), node.shape)

    def _fed_back(self, cycle: Cycle, x: Tensor) -> Tensor:
        """By neurons that feed back to themselves."""
        values, layer, size = self._flat(x), cycle.layer, cycle.matrix.inputs
        spikes, parameters = np.zeros((self._steps + 1, size), np.uint8), self._of_a_step(layer)
        state = self._carried(layer, size)
        if not self.chain.whole:
            self.chain.states[self.name] = state, spikes[1]
            self.chain.calls.append(partial(np.copyto, *spikes))
        told = values, cycle.matrix, cycle.inward, layer.rules, parameters, spikes, self._nothing, state
        self.chain.calls.append(settled(fed_back, *told, *cycle.memory(), self._counts, cycle.together, 0, 1))
        return unflat(spikes[1:].reshape(self._steps, 1, -1), (size,))

    @property
    def _steps(self) -> int:
        return int(self.chain.counts.shape[1])

    @property
    def _number(self) -> np.dtype[Any]:
        """The type of the graph's numbers."""
        return np.dtype(cast(Real, self.program.graph.arithmetic).dtype)

    @property
    def _counts(self) -> Array:
        counts: Array = self.chain.counts[self.chain.layers.index(self.name)]
        return counts

    @property
    def _nothing(self) -> Array:
        return np.empty((0, 0), self._number)

    def _carried(self, layer: Layer, neurons: int) -> Array:
        """What neurons carry between calls: of a whole sample nothing."""
        return self._nothing if self.chain.whole else kernels.carried(layer.parameters, neurons)

    def _of_a_step(self, layer: Layer) -> Parameters:
        return layer.parameters if self.chain.whole else of_a_step(self.chain, layer.parameters)


def _put(step: Step, x: Tensor, into: Tensor) -> None:
    into.copy_(step(x))


def _summed(program: Program, x: Tensor, steps: int) -> Array:
    """The output [1, *output] of all steps."""
    name = program.graph.output
    out = np.empty((1, *program.graph.shapes[name]), program.leaving)
    Results(program.outs, {name: out}).add(name, x, 0, steps)
    return out


def _told(program: Program, x: Tensor) -> Array:
    """What goes out of the last node in one step, [1, *output]."""
    out: Array = told(program.graph, program.outs, x)[0]
    return out.copy()
