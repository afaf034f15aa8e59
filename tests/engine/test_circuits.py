"""Cycles of any nodes that a tape holds, in one loop: the definition, in every bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equal_records import ALL, same
from spikeport.engine import simulate
from spikeport.engine.endless import stream
from spikeport.engine.run import Engine
from spikeport.graph import ALIF, LIF, CubaLIF, Delay, Gate, Graph, Input, Linear, Norm, Readout, Real, Scale
from spikeport.graph.definition import run
from spikeport.passes.extend import extend
from spikeport.target import Request

STEPS, N = 7, 19


class Maker:
    """Nodes of one shape with random numbers: ``eighths`` are exact in any order for some steps."""

    def __init__(self, shape, dtype=np.float32, *, eighths=False):
        self.rng, self.shape, self.dtype, self.eighths = np.random.default_rng(3), shape, dtype, eighths
        self.nodes, self.edges = {"in": Input(shape, "events")}, []

    def numbers(self, *size, low=-1.0, high=1.0):
        values = self.rng.uniform(low, high, size)
        return (np.rint(values * 8) / 8 if self.eighths else values).astype(self.dtype)

    def add(self, name, node, *sources):
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def neurons(self, name, *sources, kind=LIF, **extra):
        decay = self.dtype(0.5) if self.eighths else self.numbers(*self.shape[:1], low=0.2, high=0.9)
        theta = self.numbers(STEPS, *self.shape, low=0.5, high=1.5)
        extra |= {"current_decay": self.dtype(0.5)} if kind is CubaLIF else {}
        extra |= {"adaptation": self.dtype(0.25), "adaptation_decay": self.dtype(0.5)} if kind is ALIF else {}
        own = {"bias": self.numbers(*self.shape), "reset": "subtract", "compare": ">", **extra}
        return self.add(name, kind(self.shape, decay, theta, **own), *sources)

    def scale(self, name, *sources, low=-1.0, high=1.0):
        return self.add(name, Scale(self.numbers(*self.shape, low=low, high=high)), *sources)

    def graph(self, *outputs):
        for k, name in enumerate(outputs):
            self.add(f"out{k}", Readout(self.shape, np.ones(STEPS, self.dtype)), name)
        named = tuple(f"out{k}" for k in range(len(outputs))) if len(outputs) > 1 else ()
        arithmetic = Real(np.dtype(self.dtype).name)
        return Graph(self.nodes, tuple(self.edges), STEPS, arithmetic=arithmetic, named_outputs=named)


def two_states(shape=(N,), dtype=np.float32, outputs=("s", "w"), **extra):
    """A membrane and an adaptation outside of neurons, gates, delays of one step and of three; two outputs."""
    m = Maker(shape, dtype)
    m.add("u.past", Delay(shape, 1), "u")
    m.add("s.past", Delay(shape, 3), "s")
    m.scale("u.keep", "u.past", low=0.5, high=0.9)
    m.scale("w.keep", "w.past", low=0.5, high=0.9)
    m.add("fired", Gate(operands=("u.past", "s.past")), "u.past", "s.past")
    m.scale("lose", "fired", "s.past")
    m.scale("w", "w.keep", "u.keep", "lose")
    m.add("w.past", Delay(shape, 1), "w")
    m.scale("u", "in", "u.keep", "w", "lose", low=0.5)
    m.neurons("s", "u", **extra)
    return m.graph(*outputs)


def two_populations(kinds=(LIF, LIF), **extra):
    """Each reads itself and the other by matrices, a step or two later."""
    m = Maker((N,), eighths=True)
    m.neurons("a", "in", "ba", "aa", kind=kinds[0])
    m.neurons("b", "ab", "in", kind=kinds[1], **extra)
    m.add("a.past", Delay((N,), 1), "a")
    m.add("b.past", Delay((N,), 2), "b")
    m.add("aa", Linear(m.numbers(N, N), m.numbers(N)), "a.past")
    m.add("ab", Linear(m.numbers(N, N)), "a")
    m.add("ba", Linear(m.numbers(N, N)), "b.past")
    return m.graph("a", "b")


def samples(graph, batch=6):
    shape = (STEPS, batch, *graph.entry.shape)
    return (np.rint(np.random.default_rng(1).normal(0, 8, shape)) / 8).astype(np.float32)


def held(graph, x, *, circuits=1, asked=ALL):
    """What the engine does on the loop, which is what plain operations do."""
    engine = Engine(graph, kernels="fast")
    record = engine.simulate(x, asked)
    assert len(engine._program.circuits) == circuits
    assert engine._program.cycles == {}
    same(record, simulate(graph, x, asked, kernels="plain"))
    return record


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(N,), (3, 5, 4)])
@pytest.mark.parametrize("kind", [LIF, CubaLIF, ALIF])
def test_two_states_round_as_plain_operations_do(dtype, shape, kind):
    graph = two_states(shape, dtype, kind=kind)
    record = held(graph, samples(graph).astype(dtype))
    assert 0.05 < record.trains["s"].unpack().mean() < 0.95


@pytest.mark.parametrize(
    "extra", [{"compare": ">="}, {"reset": "zero"}, {"reset": "none"}, {"lower_bound": np.float32(-0.25)}]
)
def test_every_way_to_fire_and_to_end(extra):
    graph = two_states(**extra)
    held(graph, samples(graph))


@pytest.mark.parametrize("kinds", [(LIF, LIF), (LIF, ALIF), (CubaLIF, LIF), (ALIF, CubaLIF)])
def test_populations_that_drive_each_other_are_the_definition(kinds):
    """Of different parameters: what one kind lacks, a current, a rise or a bound, is nothing there."""
    extra = {} if kinds[1] is not LIF else {"lower_bound": np.float32(-1), "reset": "zero"}
    graph = two_populations(kinds, **extra)
    x = samples(graph)
    record, truth = held(graph, x), run(graph, x)
    for name in ("a", "b"):
        np.testing.assert_array_equal(record.trains[name].unpack(), truth.spikes(name))
        np.testing.assert_array_equal(record.membranes[name], truth.after[name])
        assert 0.02 < truth.spikes(name).mean() < 0.98


@pytest.mark.parametrize("limit", [{"memory": 1 << 12}, {"batch": 2}, {"events": False}])
def test_blocks_go_on_where_the_last_one_was(limit):
    graph = two_states()
    held(graph, samples(graph), asked=replace(ALL, **limit))


def test_membranes_of_the_layers_that_are_named_are_kept():
    graph = two_populations()
    record = simulate(graph, samples(graph), Request(membranes=("b",)), kernels="fast")
    truth = run(graph, samples(graph))
    assert set(record.membranes) == {"b"}
    np.testing.assert_array_equal(record.membranes["b"], truth.after["b"])
    np.testing.assert_array_equal(record.outputs, truth.outputs)
    assert {name: counts.sum() for name, counts in record.spike_counts.items()} == {
        name: truth.spikes(name).sum() for name in ("a", "b")
    }


def test_a_stream_in_uneven_pieces_is_the_whole():
    graph = two_states(outputs=("s",))
    x = samples(graph)
    whole = simulate(graph, x, ALL, kernels="plain")
    blocks = list(stream(graph, np.split(x, [1, 3, 4]), ALL, kernels="fast"))
    np.testing.assert_array_equal(np.concatenate([block.outputs for block in blocks]).sum(0), whole.outputs)
    trains, membranes = ([getattr(block.record, kind)["s"] for block in blocks] for kind in ("trains", "membranes"))
    np.testing.assert_array_equal(np.concatenate([each.unpack() for each in trains]), whole.trains["s"].unpack())
    np.testing.assert_array_equal(np.concatenate(membranes), whole.membranes["s"])


@pytest.mark.parametrize("spikes", [True, False])
def test_a_matrix_by_which_something_enters_is_taken_in(spikes):
    """One after neurons, one after the input; what two read, or what stands still, is not."""
    m = Maker((N,), eighths=True)
    into = m.neurons("before", "in") if spikes else "in"
    m.scale("beside", "in")
    m.add("fc", Linear(m.numbers(N, N), m.numbers(N)), into, "beside")
    m.scale("mean", "fc", "keep", low=0.5)
    m.add("past", Delay((N,), 1), "mean")
    m.add("keep", Scale(m.dtype(0.5)), "past")
    m.neurons("s", "mean")
    graph = m.graph("s")
    x, engine = samples(graph), Engine(graph, kernels="fast")
    record = engine.simulate(x, ALL)
    assert "fc" not in engine._program.steps
    same(record, simulate(graph, x, ALL, kernels="plain"))
    nodes = {**graph.nodes, "too": Readout((N,), np.ones(STEPS, m.dtype))}
    other = graph.with_(nodes=nodes, edges=(*graph.edges, ("fc", "too")), named_outputs=("out0", "too"))
    engine = Engine(other, kernels="fast")
    same(engine.simulate(x, ALL), simulate(other, x, ALL, kernels="plain"))
    assert "fc" in engine._program.steps


@pytest.mark.parametrize("after_end", ["hold", "cycle"])
def test_a_stream_beyond_the_schedules_keeps_what_delays_hold(after_end):
    """A delay of three steps goes on where it was, wherever a step stands in the schedules."""
    graph = two_states(outputs=("s",)).with_(after_end=after_end)
    x = np.concatenate([samples(graph), samples(graph)[::-1], samples(graph)[1:4]])
    whole = simulate(extend(graph, len(x)), x, ALL, kernels="plain")
    blocks = list(stream(graph, np.split(x, [2, 9, 10, 13]), ALL, kernels="fast"))
    trains = np.concatenate([block.record.trains["s"].unpack() for block in blocks])
    np.testing.assert_array_equal(trains, whole.trains["s"].unpack())


def test_states_without_neurons_and_a_frame_that_stands_still():
    """A leaky mean that the neurons read; its input is the same at all steps."""
    m = Maker((N,))
    m.nodes["in"] = Input((N,))
    m.scale("mean", "in", "keep")
    m.add("past", Delay((N,), 1), "mean")
    m.scale("keep", "past", low=0.5, high=0.9)
    m.neurons("s", "mean")
    graph = m.graph("s")
    held(graph, samples(graph)[0])


def test_what_no_tape_holds_runs_step_by_step():
    """A norm within a cycle, neurons that fire at their threshold beside others that do not, and several spikes."""
    m = Maker((N,))
    m.neurons("s", "in", "norm")
    m.add("past", Delay((N,), 1), "s")
    ones = np.ones(N, np.float32)
    m.add("norm", Norm(ones, ones, ones, ones), "past")
    graph = m.graph("s")
    held(graph, samples(graph), circuits=0)
    graph = two_populations(compare=">=")
    held(graph, samples(graph), circuits=0)
    graph = two_states(most_spikes=3)
    held(graph, samples(graph), circuits=0)
