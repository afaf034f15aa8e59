"""What Loihi 1 has no place for is refused by name before anything runs; none of it needs nengo-loihi."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from loihi1_graphs import CHIP
from spikeport.findings import SpikeportError
from spikeport.graph import (
    LIF,
    LOIHI1,
    LOIHI2,
    Conv,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Linear,
    Loihi,
    Pool,
    Readout,
    Real,
    Scale,
)
from spikeport.graph.meaning import pool, products
from spikeport.target import Request
from spikeport_targets import nengo_loihi
from spikeport_targets.nengo_loihi import NengoLoihi, checks
from spikeport_targets.nengo_loihi.routes import Route
from spikeport_targets.nengo_loihi.unrolled import messages, slots, synapses

T = 3


def neurons(*shape, kind=LIF, threshold=9, **more):
    numbers = {"decay": np.asarray(4096), "threshold": np.full(T, threshold), "bias": np.asarray(0)}
    return kind(shape, **numbers, compare=">", **more)


def ones(*shape):
    return np.ones(shape, np.int8)


def chain(*nodes, profile=LOIHI2):
    return Graph.chain({f"n{i}": node for i, node in enumerate(nodes)}, T, arithmetic=Loihi(profile))


def spikes(*shape, **more):
    return Input(shape, "events", **{"low": 0, "high": 1} | more)


REFUSED = {
    "a pool between synapse and neurons": (
        "SP631",
        chain(spikes(1, 4, 4), Conv(ones(1, 1, 1, 1)), Pool("sum", (2, 2), (2, 2)), neurons(1, 2, 2)),
    ),
    "a factor between synapse and neurons": (
        "SP631",
        chain(spikes(2), Linear(ones(2, 2)), Scale(np.asarray(3)), neurons(2)),
    ),
    "two synapses without neurons": ("SP631", chain(spikes(2), Linear(ones(2, 2)), Linear(ones(2, 2)), neurons(2))),
    "reset by subtraction": ("SP632", chain(spikes(2), Linear(ones(2, 2)), neurons(2, reset="subtract"))),
    "negative events": ("SP633", chain(spikes(2, low=-1), Linear(ones(2, 2)), neurons(2))),
    "a negative factor": ("SP633", chain(spikes(2), Scale(np.asarray(-1)), Linear(ones(2, 2)), neurons(2))),
    "other accumulators": (
        "SP634",
        chain(spikes(2), Linear(ones(2, 2)), neurons(2), profile=replace(LOIHI2, name="narrow", accumulator_bits=16)),
    ),
    "sums that may not wrap": (
        "SP123",
        chain(
            spikes(300),
            Linear(np.full((1, 300), 127, np.int8)),
            neurons(1),
            profile=replace(CHIP, name="strict", accumulator_overflow="refuse"),
        ),
    ),
    "membranes of whole sums": (
        "SP634",
        chain(spikes(2), Linear(ones(2, 2)), neurons(2), profile=replace(LOIHI2, name="whole", fraction_bits=0)),
    ),
    "other membranes": (
        "SP634",
        chain(spikes(2), Linear(ones(2, 2)), neurons(2), profile=replace(LOIHI2, name="narrow", state_bits=16)),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_by_name(what):
    code, graph = REFUSED[what]
    errors = [finding for finding in NengoLoihi().check(graph) if finding.severity == "error"]
    assert [finding.code for finding in errors] == [code]
    assert errors[0].mend
    with pytest.raises(SpikeportError) as caught:
        NengoLoihi().run(graph, np.zeros((T, 1, *graph.shapes[graph.input])), Request())
    assert caught.value.code == code


def test_real_numbers_and_too_many_synapses_are_refused(monkeypatch):
    layer = LIF((2,), decay=np.float32(1), threshold=np.ones(T, np.float32))
    real = Graph.chain(
        {"input": Input((2,)), "fc": Linear(np.ones((2, 2), np.float32)), "lif": layer}, T, arithmetic=Real()
    )
    assert [finding.code for finding in NengoLoihi().check(real)] == ["SP631"]
    monkeypatch.setattr(checks, "SYNAPSES", 3)
    (finding,) = NengoLoihi().check(chain(spikes(2), Linear(ones(2, 2)), neurons(2)))
    assert finding.code == "SP639"
    assert "4 synapses" in finding.what


def test_feedback_that_comes_too_late_is_refused():
    """Two synapses on the way back, and one step of delay."""
    nodes = {"input": spikes(2), "in": Linear(ones(2, 2)), "lif": neurons(2), "out": Readout((2,), ones(T))}
    nodes |= {"back": Linear(ones(2, 2)), "way": neurons(2), "later": Delay((2,)), "end": Linear(ones(2, 2))}
    edges = [*pairwise(("input", "in", "lif", "back", "way", "later", "end", "lif")), ("lif", "out")]
    graph = Graph(nodes, tuple(edges), T, Loihi(LOIHI2))
    assert [finding.code for finding in NengoLoihi().check(graph)] == ["SP612"]


@pytest.mark.parametrize(("profile", "code"), [(LOIHI2, "SP637"), (CHIP, "SP123")])
def test_sums_beyond_the_accumulator_are_said_from_the_first_unit_on(profile, code):
    """32,768 units of 64 are 2**21; a profile that states the accumulator has its own word for it."""
    for inputs, said in ((258, []), (259, [code])):  # 127 * 258 = 32,766
        graph = chain(spikes(inputs), Linear(np.full((1, inputs), 127, np.int8)), neurons(1), profile=profile)
        assert [finding.code for finding in NengoLoihi().check(graph)] == said


def test_weights_that_lose_bits_one_by_one_are_said_where_the_profile_shifts_the_sum():
    for mantissa, profile, said in ((3, LOIHI2, ["SP637"]), (4, LOIHI2, []), (3, CHIP, [])):
        synapse = Linear(np.full((1, 2), mantissa, np.int8), exponent=-2)
        graph = chain(spikes(2), synapse, neurons(1), profile=profile)
        assert [finding.code for finding in NengoLoihi().check(graph)] == said, (mantissa, profile.name)


def test_sums_beyond_the_emulators_integers_are_refused():
    wide = Linear(np.full((1, 4000), 127, np.int8), exponent=7)  # 127 * 4000 * 2**13 > 2**31
    errors = [
        finding for finding in NengoLoihi().check(chain(spikes(4000), wide, neurons(1))) if finding.severity == "error"
    ]
    assert [finding.code for finding in errors] == ["SP639"]
    assert "32 bits" in errors[0].what


def test_what_only_an_emulator_can_do_is_said():
    big = chain(Input((2,), low=0, high=255), Linear(np.full((2, 2), 100, np.int8)), neurons(2))
    zero = chain(spikes(2), Linear(ones(2, 2)), neurons(2, threshold=0))
    cuba = chain(Input((2,), low=0, high=9), Linear(ones(2, 2)), neurons(2, kind=CubaLIF, current_decay=np.asarray(9)))
    said = {name: NengoLoihi().check(graph) for name, graph in (("big", big), ("zero", zero), ("cuba", cuba))}
    assert {name: {finding.code for finding in findings} for name, findings in said.items()} == {
        "big": {"SP635", "SP636", "SP637"},
        "zero": {"SP636"},
        "cuba": {"SP635", "SP636"},
    }


def test_binary_networks_of_constant_thresholds_are_said_nothing_about():
    graph = chain(spikes(2), Linear(ones(2, 2)), neurons(2), Linear(ones(2, 2)), Readout((2,), ones(T)), profile=LOIHI1)
    assert NengoLoihi().check(graph) == []


def test_synapses_and_messages_spelled_out_are_the_convolution_and_the_pool():
    """Summing mantissa * input over them is what the nodes say."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-9, 9, (4, 3, 3, 2)).astype(np.int8)
    node = Conv(weight, stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
    window = Pool("sum", (2, 3), (1, 2), (1, 1))
    graph = chain(spikes(6, 7, 19), Scale(np.asarray(2)), window, node, neurons(*node.output_shape((6, 8, 10))))
    x = rng.integers(0, 2, (6, 7, 19))
    senders, positions = messages(graph, Route("n0", "n4", "n3", ("n1", "n2")))
    pooled = np.bincount(positions, weights=x.ravel()[senders], minlength=480)
    np.testing.assert_array_equal(pooled.reshape(6, 8, 10), pool(window, 2.0 * x[None, None])[0, 0])
    entries = synapses(graph, Route("n0", "n4", "n3"))
    sums = np.bincount(entries.outputs, weights=entries.mantissas * pooled[entries.inputs])
    np.testing.assert_array_equal(sums, products(node, pooled.reshape(1, 1, 6, 8, 10)).ravel())
    table = slots(senders, positions, x.size)
    assert sorted(zip(senders, positions, strict=True)) == sorted(
        (sender, position) for row in table for sender, position in enumerate(row) if position >= 0
    )


def test_the_worker_imports_nothing_of_ours_and_nothing_of_ours_imports_it():
    """nengo is GPL-2.0: it stays on the other side of a process."""
    folder = Path(nengo_loihi.__path__[0])
    names = [
        each
        for node in ast.walk(ast.parse((folder / "worker.py").read_text()))
        for each in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in getattr(node, "names", [])]
        )
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert names
    assert not [name for name in names if name.startswith("spikeport")]
    code = "import sys, spikeport_targets.nengo_loihi.target; print([n for n in sys.modules if n.startswith('nengo')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"
