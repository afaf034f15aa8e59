"""Parity counts exactly what differs, and statistics are the published ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeport.comparison import Comparison, first_divergence, mcnemar, parity, parted, wilson
from spikeport.findings import SpikeportError
from spikeport.record import Record
from spikeport.reporting.verdict import verdict
from spikeport.spike_train import Train, ones


def record(trains, outputs=None, target="a", membranes=None):
    first = next(iter(trains.values()))
    return Record(
        target=target,
        outputs=np.zeros((first.shape[1], 3), np.float32) if outputs is None else outputs,
        neurons={name: int(np.prod(spikes.shape[2:])) for name, spikes in trains.items()},
        spike_counts={n: s.sum(tuple(range(1, s.ndim))).astype(np.int64) for n, s in trains.items()},
        trains={name: Train.pack(spikes) for name, spikes in trains.items()},
        membranes=membranes or {},
    )


@dataclass(frozen=True)
class Judged:
    distance: np.ndarray
    bound: np.ndarray

    def decisions(self):
        return self.distance >= 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(1, 19))
def test_mismatches_are_those_that_a_plain_comparison_counts(seed, steps, samples, neurons):
    rng = np.random.default_rng(seed)
    x, y = rng.random((2, steps, samples, neurons)) < 0.4
    agreement = parity(record({"lif": x}), record({"lif": y}))
    assert agreement.by_layer["lif"] == [int((x[t] != y[t]).sum()) for t in range(steps)]
    assert agreement.spike_mismatches == int((x != y).sum())
    assert agreement.spikes_compared == x.size
    assert agreement.exact == bool((x == y).all())


def test_agreement_and_output_difference():
    spikes = {"lif": np.zeros((2, 4, 5), bool)}
    x = np.array([[1, 2, 0], [3, 0, 0], [0, 0, 1], [5, 5, 0]], np.float32)
    y = x.copy()
    y[1] = [0, 3.5, 0]
    agreement = parity(record(spikes, x), record(spikes, y))
    assert agreement.argmax_agreement == 0.75
    assert agreement.max_abs_output_difference == 3.5
    assert parity(record(spikes, x), record(spikes, y.astype(np.int64))).max_abs_output_difference is None


def test_only_spikes_that_contradict_their_margin_beyond_the_bound_count_as_above_rounding():
    spikes = np.array([True, True, False, False, True]).reshape(1, 1, 5)
    margin = np.array([0.5, -1e-9, 1e-9, 0.2, -0.3]).reshape(1, 1, 5)
    judged = record({"lif": spikes})
    margins = {"lif": Judged(margin, np.full((1, 1, 5), 1e-6))}
    agreement = parity(judged, judged, margins)
    assert agreement.mismatches_above_rounding == 2  # silent at +0.2, and firing at -0.3
    assert parity(judged, judged).mismatches_above_rounding is None


def test_every_mismatch_is_rounding_beyond_it_or_follows():
    """Exactly fires, silent, silent, silent, fires; the judged run errs in the second (by a hair) and the last two."""
    judged = np.array([True, True, False, True, False]).reshape(1, 1, 5)
    margin = np.array([0.5, -1e-9, -0.2, -0.3, 0.4]).reshape(1, 1, 5)
    margins = {"lif": Judged(margin, np.full((1, 1, 5), 1e-6))}
    agreement = parity(record({"lif": ~judged}), record({"lif": judged}), margins)
    kinds = [getattr(agreement, f"mismatches_{kind}") for kind in ("by_rounding", "above_rounding", "following")]
    assert (agreement.spike_mismatches, kinds) == (5, [1, 2, 2])
    by_samples = [record({"lif": each.reshape(1, 5, 1)}) for each in (~judged, judged)]
    cuts = [(0, 2), (2, 5)]
    parts = [{"lif": Judged(margin.reshape(1, 5, 1)[:, i:j], np.full((1, j - i, 1), 1e-6))} for i, j in cuts]
    blocks = [(*cut, part) for cut, part in zip(cuts, parts, strict=True)]
    assert replace(parity(*by_samples, blocks), samples=1, neurons={"lif": 5}) == agreement
    exact = parity(record({"lif": ~judged}), record({"lif": judged}), exact=True)
    assert (exact.mismatches_by_rounding, exact.mismatches_above_rounding, exact.mismatches_following) == (0, 5, 0)


def test_a_decision_that_makes_up_for_a_flip_is_told_apart_from_the_spikes_that_differ():
    """Wrong at +0.2 and -0.3 of the spikes that came in, where the other run does the same: 2 decisions, 0 spikes."""
    spikes = np.array([True, True, False, False, True, True]).reshape(1, 1, 6)
    other = spikes ^ np.array([True, True, False, False, False, False]).reshape(1, 1, 6)  # by rounding; beyond it
    margin = np.array([-1e-9, -0.5, -0.1, 0.2, -0.3, 0.4]).reshape(1, 1, 6)
    found = parity(record({"lif": other}), record({"lif": spikes}), {"lif": Judged(margin, np.full((1, 1, 6), 1e-6))})
    assert (found.spike_mismatches, found.mismatches_above_rounding) == (2, 3)
    said = (
        "1 by rounding, 3 beyond rounding (2 of them where that makes up for an earlier flip, and no spike differs), "
    )
    assert any(line.startswith(said) for line in Comparison("a", "b", found, (), {}, {}, None).lines())
    assert any(said in line for line in verdict({"parity": {"integer": found.as_dict("graph")}}).details)
    for apart, told in ((found, True), (replace(found, spike_mismatches=0), False)):  # of nothing there is no cause
        lines = Comparison("a", "b", apart, (), {}, {}, None, why_not="another graph").lines()
        assert any("another graph" in line for line in lines) == told
    assert parted(2, 1, 1, 0, uncompared=False) == "1 by rounding, 1 beyond rounding, 0 follow from earlier flips"


def test_margins_may_judge_the_other_record():
    """ONNX is judged on its own spikes, not on those of the graph that it is compared with."""
    quiet, loud = (record({"lif": np.full((1, 1, 2), value)}) for value in (False, True))
    margins = {"lif": Judged(np.full((1, 1, 2), 1.0), np.zeros((1, 1, 2)))}
    assert parity(quiet, loud, margins).mismatches_above_rounding == 0
    assert parity(quiet, loud, margins, judged=quiet).mismatches_above_rounding == 2


def test_layers_that_only_one_run_has_are_named():
    spikes = np.zeros((1, 1, 2), bool)
    agreement = parity(record({"a": spikes, "b": spikes}), record({"a": spikes}))
    assert agreement.uncompared == ("b",)
    assert not agreement.exact
    margins = {name: Judged(np.full((1, 1, 2), -1.0), np.zeros((1, 1, 2))) for name in ("a", "b")}
    judged = parity(
        record({"a": spikes, "b": spikes}), record({"a": ~spikes}), margins, judged=record({"a": spikes, "b": spikes})
    )
    assert (judged.spike_mismatches, judged.mismatches_following) == (2, 2)


@pytest.mark.parametrize(
    ("a", "b", "code"),
    [
        ({"lif": np.zeros((2, 3, 4), bool)}, {"lif": np.zeros((2, 2, 4), bool)}, "SP801"),
        ({"lif": np.zeros((2, 3, 4), bool)}, {"lif": np.zeros((3, 3, 4), bool)}, "SP803"),
        ({"lif": np.zeros((2, 3, 4), bool)}, {"fil": np.zeros((2, 3, 4), bool)}, "SP804"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, code):
    with pytest.raises(SpikeportError) as caught:
        parity(record(a), record(b))
    assert caught.value.code == code


def test_the_first_divergence_is_the_first_layers_earliest_step():
    a = {"one": np.zeros((3, 2, 2, 2), bool), "two": np.zeros((3, 2, 5), bool)}
    b = {name: value.copy() for name, value in a.items()}
    b["two"][0, 0, 3] = True  # earlier in time, but behind layer one
    b["one"][2, 0, 1, 1] = True
    b["one"][1, 1, 0, 1] = True
    membranes = {"one": np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2)}
    divergence = first_divergence(record(a, membranes=membranes), record(b))
    assert (divergence.layer, divergence.t, divergence.sample, divergence.neuron) == ("one", 1, 1, (0, 1))
    assert (divergence.a_fires, divergence.b_fires) == (False, True)
    assert divergence.a_membrane == membranes["one"][1, 1, 0, 1]
    assert divergence.b_membrane is None
    assert first_divergence(record(a), record(a)) is None


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3: the score interval
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes, trials, low, high):
    assert wilson(successes, trials) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def test_a_share_of_nothing_has_no_interval():
    with pytest.raises(SpikeportError, match="SP802"):
        wilson(0, 0)
    for successes in (-1, 6):
        with pytest.raises(SpikeportError, match=f"{successes} successes of 5"):
            wilson(successes, 5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_binomial_test_of_the_samples_that_part(pairs):
    from scipy.stats import binomtest

    a, b = np.array(pairs).T
    parted = int((a != b).sum())
    expected = binomtest(int((a & ~b).sum()), parted).pvalue if parted else 1.0
    assert mcnemar(a, b) == pytest.approx(expected)


def test_bits_are_counted_with_and_without_numpys_own_function(monkeypatch):
    """numpy 1.26 has no bitwise_count."""
    every = np.arange(256, dtype=np.uint8).reshape(2, 128)
    wanted = np.asarray([[bin(byte).count("1") for byte in row] for row in every.tolist()])
    np.testing.assert_array_equal(ones(every), wanted)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    np.testing.assert_array_equal(ones(every), wanted)
