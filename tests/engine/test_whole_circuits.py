"""Cycles of integers that are no single matrix, in one loop: the definition, in every bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equal_records import ALL, same
from spikeport.engine import simulate
from spikeport.engine.endless import stream
from spikeport.engine.run import Engine
from spikeport.graph import LIF, LOIHI2, CubaLIF, Delay, Gate, Graph, Input, Linear, Loihi, Pool, Readout, Scale
from spikeport.graph.definition import run
from spikeport.target import Request

STEPS, N = 9, 19


def matrix(rng, outputs=N, inputs=N, *, exponent=0, size=60, dtype=np.int8):
    return Linear(rng.integers(-size, size + 1, (outputs, inputs)).astype(dtype), exponent=exponent)


def neurons(rng, shape=(N,), *, kind=LIF, low=60, high=200, **extra):
    extra |= {"current_decay": np.int64(1024)} if kind is CubaLIF else {}
    theta = rng.integers(low, high, (STEPS, *shape))
    return kind(shape, np.int64(3072), theta, **{"bias": np.int64(128), "reset": "subtract", "compare": ">", **extra})


def populations(kinds=(LIF, LIF), *, exponents=(0, 0), size=60, profile=LOIHI2, dtype=np.int8, **extra):
    """Two that read themselves and each other by matrices, a step or two later, and what comes in by one of its own."""
    rng = np.random.default_rng(5)
    nodes = {
        "in": Input((6,), "events", low=-3, high=3),
        "fc": matrix(rng, inputs=6),
        "a": neurons(rng, kind=kinds[0]),
        "a.past": Delay((N,), 1),
        "aa": matrix(rng, exponent=exponents[0], size=size, dtype=dtype),
        "ab": matrix(rng, exponent=exponents[1], size=size, dtype=dtype),
        "b": neurons(rng, kind=kinds[1], **extra),
        "b.past": Delay((N,), 2),
        "ba": matrix(rng, size=size, dtype=dtype),
        "last": matrix(rng, outputs=3),
        "out": Readout((3,), np.ones(STEPS, np.int64)),
    }
    edges = [("in", "fc"), ("fc", "a"), ("aa", "a"), ("ba", "a"), ("a", "a.past"), ("a.past", "aa"), ("a", "ab")]
    edges += [("ab", "b"), ("b", "b.past"), ("b.past", "ba"), ("b", "last"), ("last", "out")]
    return Graph(nodes, tuple(edges), STEPS, arithmetic=Loihi(profile))


def gated(shape=(N,), *, factor=2):
    """Numbers of several bits in a cycle: a scale, a gate, delays of one step and of three."""
    rng = np.random.default_rng(6)
    nodes = {
        "in": Input(shape, "events", low=-40, high=90),
        "s": neurons(rng, shape),
        "s.past": Delay(shape, 1),
        "s.far": Delay(shape, 3),
        "lose": Scale(rng.integers(-50, 30, shape).astype(np.int64) * factor),
        "both": Gate(operands=("lose", "s.far")),
        "out": Readout(shape, np.ones(STEPS, np.int64)),
    }
    edges = [("in", "s"), ("both", "s"), ("s", "s.past"), ("s", "s.far"), ("s.past", "lose"), ("lose", "both")]
    return Graph(nodes, (*edges, ("s.far", "both"), ("s", "out")), STEPS, arithmetic=Loihi(LOIHI2))


def samples(graph, batch=6):
    entry, shape = graph.entry, (STEPS, batch, *graph.entry.shape)
    return np.random.default_rng(1).integers(entry.low, entry.high + 1, shape).astype(np.float32)


def held(graph, x, *, circuits=1, asked=ALL):
    """What the engine does on the loop, which is what plain operations do."""
    engine = Engine(graph, kernels="fast")
    record = engine.simulate(x, asked)
    assert len(engine._program.circuits) == circuits
    same(record, simulate(graph, x, asked, kernels="plain"))
    return record


def defined(graph, x, *names):
    """The same by the definition, and neurons that neither rest nor always fire."""
    record, truth = held(graph, x), run(graph, x)
    np.testing.assert_array_equal(record.outputs, truth.outputs)
    for name in names:
        np.testing.assert_array_equal(record.trains[name].unpack(), truth.spikes(name))
        np.testing.assert_array_equal(record.membranes[name], truth.after[name])
        assert 0.02 < truth.spikes(name).mean() < 0.98
    return record


@pytest.mark.parametrize("kinds", [(LIF, LIF), (LIF, CubaLIF), (CubaLIF, LIF), (CubaLIF, CubaLIF)])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_populations_that_drive_each_other(kinds, reset):
    """A current, a bound and a reset that one of them lacks are nothing there."""
    graph = populations(kinds, reset=reset, lower_bound=np.int64(-64))
    defined(graph, samples(graph), "a", "b")


@pytest.mark.parametrize("exponents", [(-3, 3), (2, 0)])
def test_exponents_to_both_sides(exponents):
    """Weights with room for what a shift to the right takes, and sums that it rounds down."""
    graph = populations(exponents=exponents)
    defined(graph, samples(graph), "a", "b")


@pytest.mark.parametrize("shape", [(N,), (3, 5, 4)])
def test_numbers_of_several_bits(shape):
    graph = gated(shape)
    defined(graph, samples(graph), "s")


def test_membranes_at_the_end_of_their_range_are_counted_as_the_definition_counts():
    """A membrane of 16 bits and an accumulator of 12: sums wrap, membranes stay at the end."""
    small = replace(LOIHI2, name="small", state_bits=16, accumulator_bits=17, accumulator_overflow="wrap")
    graph = populations(size=120, profile=small)
    record = defined(graph, samples(graph))
    assert sum(sum(kinds.values()) for kinds in record.overflows.values()) > 0
    held(graph, samples(graph), asked=Request(trains=True, membranes=True))


def test_weights_of_a_wider_format():
    wide = replace(LOIHI2, name="wide", weight_bits=18)
    graph = populations(size=80_000, profile=wide, dtype=np.int32, high=2**17 - 1)
    assert np.abs(graph["aa"].weight).max() >= 2**15
    held(graph, samples(graph))


@pytest.mark.parametrize("limit", [{"memory": 1 << 12}, {"batch": 2}, {"events": False}])
def test_blocks_go_on_where_the_last_one_was(limit):
    for graph in (populations((LIF, CubaLIF)), gated()):
        held(graph, samples(graph), asked=replace(ALL, **limit))


def test_a_stream_in_uneven_pieces_is_the_whole():
    graph = gated()
    x = samples(graph)
    whole = simulate(graph, x, ALL, kernels="plain")
    blocks = list(stream(graph, np.split(x, [1, 3, 4]), ALL, kernels="fast"))
    trains, membranes = ([getattr(block.record, kind)["s"] for block in blocks] for kind in ("trains", "membranes"))
    np.testing.assert_array_equal(np.concatenate([each.unpack() for each in trains]), whole.trains["s"].unpack())
    np.testing.assert_array_equal(np.concatenate(membranes), whole.membranes["s"])


def test_a_cycle_without_neurons():
    """Numbers that a gate lets through for two steps, behind which the neurons stand."""
    graph = gated()
    nodes = {**graph.nodes, "gate": Gate(operands=("d", "in")), "d": Delay((N,), 2), "off": Scale(np.int64(0))}
    edges = [("in", "gate"), ("in", "d"), ("d", "gate"), ("gate", "off"), ("off", "d"), ("d", "s")]
    graph = Graph(nodes, (*graph.edges, *edges), STEPS, arithmetic=graph.arithmetic)
    held(graph, samples(graph), circuits=2)


def test_what_32_bits_do_not_hold_runs_step_by_step():
    """Factors of 2^15 twice over: a number that a gate makes may be beyond 2^31, though neurons are not."""
    graph = gated(factor=1)
    nodes = {**graph.nodes, "lose": Scale(np.full((N,), 2**15, np.int64)), "more": Scale(np.int64(2**15))}
    nodes |= {"twice": Scale(np.int64(2**3)), "none": Scale(np.int64(0))}
    edges = [edge for edge in graph.edges if edge != ("both", "s")]
    edges += [("both", "more"), ("more", "twice"), ("twice", "none"), ("none", "s")]
    graph = Graph(nodes, tuple(edges), STEPS, arithmetic=graph.arithmetic)
    held(graph, samples(graph), circuits=0)


def test_what_no_tape_holds_runs_step_by_step():
    """A pool within a cycle."""
    graph = gated((3, 5, 4))
    nodes = {**graph.nodes, "pool": Pool("sum", (1, 1), (1, 1))}
    edges = [edge for edge in graph.edges if edge != ("both", "s")]
    graph = Graph(nodes, (*edges, ("both", "pool"), ("pool", "s")), STEPS, arithmetic=graph.arithmetic)
    held(graph, samples(graph), circuits=0)
