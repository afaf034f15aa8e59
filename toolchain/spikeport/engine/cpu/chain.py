"""A block of samples, or a step of one, through a chain of layers: all that is constant is laid out once, then a layer
is one compiled call.

Around small layers Python takes longer than they compute. Here every array that a loop reads or writes is there before
the first sample: what leaves a layer lies where, and as, the next one reads it. The loops are those of any batch, so
that the bits are, too; two more stand in `small_maps`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from spikeport.engine.cpu import kernels, maps
from spikeport.engine.cpu.cycle import Cycle, fed_back
from spikeport.engine.cpu.fire import fire
from spikeport.engine.cpu.fused import Layer, laid_out
from spikeport.engine.cpu.small_maps import pooled
from spikeport.engine.cpu.small_sums import over_steps, weighed
from spikeport.engine.cpu.structures import FIRED, KINDS, Constants, Parameters, Plan
from spikeport.engine.cpu.wires import Call, Sums, Weights, Wire, laid, padded
from spikeport.graph import LIF, STATE_SHIFT, Array, Flatten, Graph, Pool, Readout, Synapse, over_neurons
from spikeport.graph.shifts import shift_each
from spikeport.machine import settled

if TYPE_CHECKING:
    from spikeport.engine.program import Program  # which imports the door

MOST = 1 << 25  #: multiply-adds of one sample, were all its inputs multiplied: beyond, a product may be the faster way
BYTES = 256  #: values beyond are none


@dataclass
class Chain:
    """A graph without branches, ready for so many samples at a time, or for one step. Nobody else may call it then."""

    whole: bool  #: whether all steps of a sample are run, from no state; else one step goes on where the last one was
    entry: Array  #: [T or 1, B, *input], a view of where samples go
    unit: float | None  #: of what enters integers; None of real numbers, which stay as they are
    layers: tuple[str, ...]  #: the neurons, in the order of ``counts`` and ``totals``
    counts: Array  #: int64 [layers, T, KINDS]
    totals: Array  #: int64 [layers, KINDS]
    calls: list[Call] = field(default_factory=list)
    #: [B, *output]: int64 of all steps; of one step what `Stream` tells, spikes in uint8
    read: Callable[[], Array] = field(default=lambda: np.empty(0))
    #: of a step, what neurons carry: membranes and currents, a view [2, places, channels]; of those that feed back to
    #: themselves [2 or 3, neurons], and their last spikes
    states: dict[str, tuple[Array, ...]] = field(default_factory=dict)
    schedules: list[tuple[Array, Array]] = field(default_factory=list)  #: thresholds of the step, and of all steps
    weights: dict[str, Weights] = field(default_factory=dict)  #: of each synapse, which other chains of the graph read

    def __call__(self, frames: Array, step: int = 0) -> tuple[Array, Array, list[list[int]]]:
        """The output [B, *output] for frames [T or 1, B, *input] within their range, spikes [layers, T], and totals.

        ``step``: where one step stands in the schedules.
        """
        for now, every in self.schedules:
            now[0] = every[step]
        values = frames
        if self.unit is not None and (self.unit != 1 or values.dtype.kind == "f"):
            values = np.rint(np.divide(values, self.unit, dtype=np.float64))
        self.entry[...] = values
        self.counts.fill(0)
        for call in self.calls:
            call()
        return self.read(), self.counts[:, :, FIRED].copy(), self.totals.tolist()


def prepare(
    program: Program, *, whole: bool = True, samples: int = 1, weights: dict[str, Weights] | None = None
) -> Chain | None:
    """The chain of a graph in Loihi's integers; None where it is none, or the loops do not serve or are not faster.

    ``samples`` at a time; ``weights``: of another chain of the graph, to be read by both.
    """
    graph, inner = shift_each(program.graph), own_loops(program)  # the weights that are added
    if inner is None:
        return None
    names = [name for name in graph.order if name != graph.input and name not in inner]
    one_way = all(
        len(set(graph.sources(name)) - inner) == 1 and len(set(graph.targets(name)) - inner) <= 1 for name in names
    )
    x = program.incoming[graph.input]
    if not one_way or graph.outputs != (names[-1],) or x is None or not 0 <= x.low <= x.high < BYTES:
        return None
    steps = graph.timesteps if whole else 1
    if steps * program.products > MOST:
        return None
    node, layers = graph.entry, tuple(program.layers)
    counts, totals = np.zeros((len(layers), steps, KINDS), np.int64), np.zeros((len(layers), KINDS), np.int64)
    steps, channels = steps if node.coding == "events" else 1, node.shape[0]
    wire = Wire.empty(steps, samples, node.shape, padded(channels) if x.high <= maps.STEEPEST else channels)
    shared = {} if weights is None else weights
    chain = Chain(whole, wire.channels_first, float(node.unit), layers, counts, totals, weights=shared)
    if not _filled(chain, graph, wire, names, program):
        return None
    chain.calls.append(settled(over_steps, counts, totals))
    return chain


def own_loops(program: Program) -> frozenset[str] | None:
    """The matrices and delays by which neurons feed back to themselves; None where a cycle is another, or more of it is
    read."""
    inner: set[str] = set()
    for stretch in program.stretches:
        if stretch.feeds_back:
            if len(stretch.wanted) != 1 or not stretch.wanted <= program.cycles.keys():
                return None
            inner.update(stretch.names)
            inner -= stretch.wanted
    return frozenset(inner)


def _filled(chain: Chain, graph: Graph, wire: Wire, names: list[str], program: Program) -> bool:
    """Whether every node has its call, the last one a way to be read."""
    sums: Sums | None = None  # of a synapse, for what reads it
    for name in names:
        node, x = graph.nodes[name], program.incoming[name]
        if isinstance(node, Synapse) and sums is None and x is not None:
            if name not in chain.weights:
                ready = laid(node, x, wire)
                if ready is None:
                    return False
                chain.weights[name] = ready
            sums = Sums(chain.weights[name], wire)
        elif isinstance(node, LIF) and sums is not None and name in program.cycles:
            back = _fed_back(chain, sums, program.cycles[name], chain.layers.index(name))
            if back is None:
                return False
            wire, sums = back, None
        elif isinstance(node, LIF) and sums is not None and name in program.joined:
            layer = program.neurons[name].layer  # type: ignore[attr-defined]  # joined they are a `Pair`
            wire, sums = _fired(chain, sums, layer, chain.layers.index(name)), None
        elif isinstance(node, Pool) and sums is None and len(node.kernel) < 3 and _in_bytes(program, name):
            wire = _pooled(chain, node, wire)
        elif isinstance(node, Readout) and sums is not None and len(node.shape) == node.weight.ndim == 1:
            chain.read = _readout(chain, node, sums)
            return True
        elif not isinstance(node, Flatten) or sums is not None:
            return False
    live = wire.channels_first
    chain.read = (lambda: live.sum(0, dtype=np.int64)) if chain.whole else live[0].copy
    return sums is None and isinstance(graph.nodes[names[-1]], LIF)


def _in_bytes(program: Program, name: str) -> bool:
    """Whether what leaves a node, which one other reads, stays in bytes."""
    leaving = [program.incoming[target] for target in program.graph.targets(name)]
    return bool(leaving) and all(x is not None and x.high < BYTES for x in leaving)


def _fired(chain: Chain, sums: Sums, layer: Layer, number: int) -> Wire:
    """The calls of a synapse and the neurons that read it: one, where events enter at every step."""
    steps, samples, width = chain.counts.shape[1], chain.entry.shape[1], sums.weights.width
    wire = Wire.empty(steps, samples, sums.weights.leaving, width)
    parameters, pattern = laid_out(layer.node, np.dtype(np.int32), width)
    state = np.zeros((0 if chain.whole else 2, *wire.values.shape[1:]), np.int32)
    rules, parameters = _told(chain, layer, parameters)
    if not chain.whole:
        chain.states[chain.layers[number]] = (state.reshape(2, -1, width)[..., : wire.shape[0]],)
    rows, idle, counts = sums.weights.rows, np.empty((0, 0, 0), np.int32), chain.counts[number]
    if rows is not None and len(sums.wire.values) == steps:
        entering = sums.words(), rows.weight, rows.plan, rules, parameters, pattern
        chain.calls.append(settled(fire, *entering, wire.values, idle, state, *sums.memory(rows), counts, 0, samples))
        return wire
    values = sums.called(chain.calls)
    flat = values.shape[1] * values.shape[2]
    values, spikes, state = (one.reshape(len(one), flat) for one in (values, wire.values, state))
    block, nobody = kernels.block(values, parameters, spikes.dtype), np.empty((0, 0), np.int32)
    told = values, rules, parameters, spikes, nobody, state, block, counts, 0, flat
    chain.calls.append(settled(kernels.neurons, *told))
    return wire


def _fed_back(chain: Chain, sums: Sums, cycle: object, number: int) -> Wire | None:
    """The call of a matrix and the neurons that read it and themselves; None where the batch has another loop."""
    inward, wire = sums.weights.matrix, sums.wire
    if not isinstance(cycle, Cycle) or not cycle.bytes or inward is None:
        return None
    steps, samples, size = chain.counts.shape[1], chain.entry.shape[1], cycle.matrix.inputs
    layer, spikes, idle = cycle.layer, np.zeros((steps + 1, samples * size), np.uint8), np.empty((0, 0), np.int32)
    values, state = wire.values.reshape(len(wire.values), -1), idle
    rules, parameters = _told(chain, layer, layer.parameters)
    if not chain.whole:
        state = kernels.carried(layer.parameters, samples * size)
        chain.states[chain.layers[number]] = state, spikes[1]
        chain.calls.append(partial(np.copyto, *spikes))
    told = values, cycle.matrix, inward, rules, parameters, spikes, idle, state, *cycle.memory(inward)
    chain.calls.append(settled(fed_back, *told, chain.counts[number], cycle.together, 0, samples))
    fires = spikes[1:].reshape(steps, samples, size)
    if size == padded(size):
        return Wire(fires, (size,), size)
    into = Wire.empty(steps, samples, (size,), padded(size))  # events are listed by whole words
    chain.calls.append(partial(np.copyto, into.values[..., :size], fires))
    return into


def _told(chain: Chain, layer: Layer, parameters: Parameters) -> tuple[Constants, Parameters]:
    """The rules of neurons and their parameters."""
    assert isinstance(layer.rules, Constants)  # of integers
    if chain.whole:
        return layer.rules, parameters
    # no range is known of a stream's states
    return layer.rules._replace(bare=np.int32(0)), of_a_step(chain, parameters)


def of_a_step(chain: Chain, parameters: Parameters) -> Parameters:
    """The parameters with the thresholds of one step, which the chain brings where they change."""
    every = parameters.threshold
    now = every[:1].copy()
    if (every != now).any():
        chain.schedules.append((now, every))
    return parameters._replace(threshold=now)


def _pooled(chain: Chain, node: Pool, wire: Wire) -> Wire:
    steps, samples = wire.values.shape[:2]
    into = Wire.empty(steps, samples, node.output_shape(wire.shape), wire.width)
    size, leaving = maps.map_of(wire.whole), maps.map_of(into.whole)
    kernel, stride, padding = (maps.over_both(v, i) for v, i in ((node.kernel, 1), (node.stride, 1), (node.padding, 0)))
    plan = Plan((*size[1:], size[0]), kernel, stride, padding, (1, 1), leaving[1:], 0, leaving[0], wire.width, 0, 0)
    chain.calls.append(settled(pooled, wire.rows, plan, into.rows))
    return into


def _readout(chain: Chain, node: Readout, sums: Sums) -> Callable[[], Array]:
    """`readout.Out` of the sums of a synapse."""
    x, exponent, channels = sums.called(chain.calls), sums.weights.node.exponent, node.shape[0]
    weight = np.asarray(node.weight, np.int64) if chain.whole else np.ones(1, np.int64)
    weight = weight if len(x) == len(weight) else weight.sum(keepdims=True)  # the same sums at all steps
    shift = np.broadcast_to(weight.sum() * np.asarray(over_neurons(node.bias, node.shape), np.int64), channels).copy()
    out, left = np.empty((x.shape[1], channels), np.int64), STATE_SHIFT + max(exponent, 0)
    chain.calls.append(settled(weighed, x, max(-exponent, 0), weight << left, shift, out))
    return out.copy
