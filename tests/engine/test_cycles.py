"""Graphs that feed back: a node outside of a cycle runs all steps at once, and a matrix of spikes in one loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equal_records import ALL, same
from spikeport.engine import simulate
from spikeport.engine.run import Engine
from spikeport.engine.stretches import stretches
from spikeport.graph import ALIF, LIF, LOIHI2, CubaLIF, Delay, Graph, Input, Linear, Loihi, Readout, Real, Scale
from spikeport.graph.definition import run
from spikeport.target import Request

N = 11


def recurrent(steps, integers, *, reset="subtract", cuba=False, exponent=0, coding="events", back=None, low=None):
    """Input, matrix, neurons with a matrix that feeds back, matrix, readout."""
    rng = np.random.default_rng(steps)

    def weight(outputs, inputs):
        numbers = rng.integers(-60, 100, (outputs, inputs))
        return numbers.astype(np.int8) if integers else (numbers / 64).astype(np.float32)

    def number(value):
        return np.int64(value) if integers else np.float32(value / 4096)

    theta = rng.integers(60, 200, steps)
    extra = {"current_decay": number(1024)} if cuba else {}
    reset_value = {"reset_value": number(-64)} if reset == "value" else {}
    bound = {} if low is None else {"lower_bound": number(low)}
    neurons = (CubaLIF if cuba else LIF)(
        (N,),
        number(3072),
        theta if integers else (theta / 64).astype(np.float32),
        bias=number(128),
        compare=">",
        reset=reset,
        **extra,
        **reset_value,
        **bound,
    )
    nodes = {
        "in": Input((5,), coding, low=0, high=1),
        "fc": Linear(weight(N, 5)),
        "lif": neurons,
        "past": Delay((N,), 1),
        "back": back or Linear(weight(N, N), exponent=exponent),
        "last": Linear(weight(3, N)),
        "out": Readout((3,), np.ones(steps, np.int64 if integers else np.float32)),
    }
    edges = [("in", "fc"), ("fc", "lif"), ("lif", "past"), ("past", "back"), ("back", "lif"), ("lif", "last")]
    return Graph(nodes, (*edges, ("last", "out")), steps, arithmetic=Loihi(LOIHI2) if integers else Real())


def samples(steps, batch=7, coding="events"):
    shape = (steps, batch, 5) if coding == "events" else (batch, 5)
    return (np.random.default_rng(1).random(shape) < 0.4).astype(np.float32)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("reset", ["zero", "subtract", "value", "none"])
@pytest.mark.parametrize("cuba", [False, True])
def test_the_loop_is_the_definition_in_every_bit(integers, reset, cuba):
    """Real weights are multiples of 1/64 and decays of 1/4, few steps: nothing rounds, whatever the order."""
    steps = 9 if integers else 3
    graph = recurrent(steps, integers, reset=reset, cuba=cuba)
    x, engine = samples(steps), Engine(graph, kernels="fast")
    record, truth = engine.simulate(x, ALL), run(graph, x)
    assert set(engine._program.cycles) == {"lif"}
    np.testing.assert_array_equal(record.outputs, truth.outputs)
    np.testing.assert_array_equal(record.trains["lif"].unpack(), truth.spikes("lif"))
    np.testing.assert_array_equal(record.membranes["lif"], truth.after["lif"])
    assert 0.05 < truth.spikes("lif").mean() < 0.95
    same(record, simulate(graph, x, ALL, kernels="plain"))


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_the_loop_is_the_definition_of_neurons_that_adapt(reset):
    """As in Bellec's LSNN; rises of 1/4 that halve."""
    steps = 4
    before, x = recurrent(steps, False, reset=reset), samples(steps)
    own = {name: getattr(before["lif"], name) for name in ("decay", "threshold", "bias", "compare", "reset")}
    rise = {"adaptation": np.float32(0.25), "adaptation_decay": np.float32(0.5)}
    graph = before.replace({"lif": ALIF((N,), **own, **rise)})
    engine, truth = Engine(graph, kernels="fast"), run(graph, x)
    record = engine.simulate(x, ALL)
    assert set(engine._program.cycles) == {"lif"}
    np.testing.assert_array_equal(record.membranes["lif"], truth.after["lif"])
    np.testing.assert_array_equal(record.trains["lif"].unpack(), truth.spikes("lif"))
    assert (truth.spikes("lif") != run(before, x).spikes("lif")).any()
    same(record, simulate(graph, x, ALL, kernels="plain"))
    same(engine.simulate(x, replace(ALL, memory=1 << 10)), record)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("cuba", [False, True])
def test_no_membrane_of_the_loop_stays_below_its_bound(integers, cuba):
    steps = 9 if integers else 3
    low = -640 if integers else -1024
    graph = recurrent(steps, integers, cuba=cuba, low=low)
    x, engine = samples(steps), Engine(graph, kernels="fast")
    record, truth = engine.simulate(x, ALL), run(graph, x)
    assert set(engine._program.cycles) == {"lif"}
    np.testing.assert_array_equal(record.membranes["lif"], truth.after["lif"])
    np.testing.assert_array_equal(record.trains["lif"].unpack(), truth.spikes("lif"))
    assert truth.after["lif"].min() == graph["lif"].lower_bound
    assert run(recurrent(steps, integers, cuba=cuba), x).after["lif"].min() < graph["lif"].lower_bound


@pytest.mark.parametrize("exponent", [-2, 2])
@pytest.mark.parametrize("coding", ["events", "direct"])
def test_a_shifted_matrix_and_a_still_input(exponent, coding):
    graph = recurrent(6, True, exponent=exponent, coding=coding)
    x = samples(6, coding=coding)
    same(simulate(graph, x, ALL, kernels="fast"), simulate(graph, x, ALL, kernels="plain"))


def behind(graph, bias=None):
    """A recurrent graph whose delay is behind the matrix."""
    edges = [edge for edge in graph.edges if "past" not in edge and edge != ("back", "lif")]
    nodes = {**graph.nodes, "back": replace(graph["back"], bias=bias)}
    edges += [("lif", "back"), ("back", "past"), ("past", "lif")]
    return Graph(nodes, tuple(edges), graph.timesteps, arithmetic=graph.arithmetic)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("asked", [{}, {"memory": 1 << 12}, {"batch": 2}])
def test_a_delay_behind_the_matrix_is_the_same_loop(integers, asked):
    """As snnTorch, Norse and the shipped vowels-recurrent have it; what the delay holds may be read, too."""
    steps = 9 if integers else 3
    graph, x = behind(recurrent(steps, integers, exponent=-1 if integers else 0)), samples(steps)
    too = {**graph.nodes, "too": Readout((N,), graph["out"].weight), "more": Readout((N,), graph["out"].weight)}
    edges = (*graph.edges, ("past", "too"), ("back", "more"))
    read = Graph(too, edges, steps, arithmetic=graph.arithmetic, named_outputs=("out", "too", "more"))
    for each in (graph, read):
        engine = Engine(each, kernels="fast")
        record = engine.simulate(x, replace(ALL, **asked))
        assert set(engine._program.cycles) == {"lif"}
        same(record, simulate(each, x, replace(ALL, **asked), kernels="plain"))
        np.testing.assert_array_equal(record.trains["lif"].unpack(), run(each, x).spikes("lif"))


def test_a_delay_behind_a_matrix_with_a_bias_begins_with_zero():
    """The other order would begin with the bias."""
    bias = np.arange(N, dtype=np.float32) / 4
    graph, x = behind(recurrent(3, False), bias), samples(3)
    engine = Engine(graph, kernels="fast")
    record = engine.simulate(x, ALL)
    assert not engine._program.cycles
    assert len(engine._program.circuits) == 1
    np.testing.assert_array_equal(record.membranes["lif"], run(graph, x).after["lif"])


def test_weights_of_more_than_16_bits_come_back_whole():
    """A user's format may have them; -60 ... 99 times 1,000 decides every spike."""
    graph = recurrent(6, True).with_(arithmetic=Loihi(replace(LOIHI2, weight_bits=20)))
    graph = graph.replace({"back": Linear(graph["back"].weight.astype(np.int32) * 1000)})
    engine, x = Engine(graph, kernels="fast"), samples(6)
    same(engine.simulate(x, ALL), simulate(graph, x, ALL, kernels="plain"))
    assert set(engine._program.cycles) == {"lif"}


def test_another_way_back_runs_step_by_step():
    graph = recurrent(5, True, back=Scale(np.int64(-20)))
    engine = Engine(graph, kernels="fast")
    same(engine.simulate(samples(5), ALL), simulate(graph, samples(5), ALL, kernels="plain"))
    assert engine._program.cycles == {}


def test_only_the_cycle_runs_step_by_step():
    told = {stretch.names: (stretch.feeds_back, set(stretch.wanted)) for stretch in stretches(recurrent(4, True))}
    assert told.pop(("past", "back", "lif")) == (True, {"lif"})
    assert told == {(name,): (False, {name}) for name in ("in", "fc", "last", "out")}


def test_a_long_recurrent_batch_is_not_cut_into_slivers(monkeypatch):
    """64 samples of 1,000 steps: 55 kB of sums and spikes each, where every value of every step was counted before."""
    monkeypatch.setattr("spikeport.engine.run.available", lambda: 1)
    seen = []
    graph = recurrent(1000, True)
    simulate(graph, samples(1000, 64), Request(progress=lambda done, total: seen.append(done)))
    assert seen == [64]


@pytest.mark.parametrize("steps", [255, 256, 257, 600])
@pytest.mark.parametrize("integers", [True, False])
def test_spikes_are_counted_over_any_number_of_steps(steps, integers):
    """A byte counts to 255: what fires at every step fires as often as there are steps."""
    theta, arithmetic = np.zeros(steps, np.int64 if integers else np.float32), Loihi(LOIHI2) if integers else Real()
    decay, bias = (np.int64(1), np.int64(64)) if integers else (np.float32(0), np.float32(1))
    nodes = {"in": Input((3,)), "lif": LIF((3,), decay, theta, bias=bias, compare=">")}
    record = simulate(Graph.chain(nodes, steps, arithmetic=arithmetic), np.zeros((2, 3), np.float32), kernels="fast")
    assert record.outputs.tolist() == [[steps] * 3] * 2
