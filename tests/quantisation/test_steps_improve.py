"""Each step makes a network better that was built for it, and what quantisation cannot hold is said."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from quantize_examples import STEPS, chain, spikes, uniform
from spikeport.engine import simulate
from spikeport.graph import LIF, Input, Linear, Loihi, Readout
from spikeport.quantisation import quantize
from spikeport.quantisation.ranges import RANGE_METHODS
from spikeport.verbs.load import Data
from spikeport.verbs.quantize import quantize as quantize_verb


def counters(weights, threshold):
    """One neuron without memory that compares a weighted sum with its threshold at each step."""
    weight = np.asarray(weights, np.float32)[None]
    neuron = LIF((1,), np.float32(0), np.full(STEPS, threshold, np.float32))
    return chain(input=Input((weight.shape[1],)), fc=Linear(weight), lif=neuron, out=uniform(1))


def wrong(graph, samples, steps, ranges="mse"):
    """Spikes that differ from the real network's, and how the report says that it went."""
    result = quantize(graph, samples, run=simulate, weight_bits=3, steps=steps, ranges=ranges)
    a, b = (spikes(each, samples)[0]["lif"] for each in (graph, result.graph))
    return int((a != b).sum()), result.report["steps"]


def test_thresholds_move_by_what_rounding_added_to_the_weights():
    """3 becomes the mantissa 3, each 0.8 a whole 1: of m ones the sum is m for 0.8 m.

    A threshold of 4 is reached by five real ones and by four mantissas; a quarter more, two grains of 2**-3, is exact.
    """
    samples = np.tril(np.ones((20, 20), np.float32))
    samples = np.concatenate([np.zeros((20, 1), np.float32), samples], 1)  # the largest weight hears nothing
    graph = counters([3.0, *[0.8] * 20], 4.0)
    plain, _ = wrong(graph, samples, [])
    moved, report = wrong(graph, samples, ["thresholds"])
    assert plain == STEPS  # the sample of four ones, at every step
    assert moved == 0
    assert report[-1]["kept"]
    assert report[-1]["spike_mismatch"] < report[0]["spike_mismatch"]


@pytest.mark.parametrize("method", [each for each in RANGE_METHODS if each != "max"])
def test_ranges_clip_one_large_weight_where_all_others_gain(method):
    """One weight of 3 among 2000 of 0.55 of either sign, which 3 bits in steps of 1 make whole ones."""
    rng = np.random.default_rng(0)
    signs = np.tile([-1.0, 1.0], 1000)
    samples = (rng.random((200, 2001)) < 0.5).astype(np.float32)
    samples[:, 0] = 0
    graph = counters([3.0, *(0.55 * signs)], 8.0)
    plain, _ = wrong(graph, samples, [])
    chosen, report = wrong(graph, samples, ["ranges"], method)
    assert report[-1]["kept"]
    assert plain > 5 * chosen
    assert report[-1]["spike_mismatch"] < report[0]["spike_mismatch"] / 5


def test_overflows_that_remain_on_the_calibration_data_are_findings_with_their_count():
    """A membrane that only adds up, to 25,600 times its threshold: no unit holds both the sum and the threshold."""
    graph = chain(
        input=Input((4096,)),
        fc=Linear(np.ones((1, 4096), np.float32)),
        lif=LIF((1,), np.float32(1), np.full(STEPS, 64, np.float32), reset="none"),
        out=uniform(1),
    )
    samples = np.ones((3, 4096), np.float32)
    samples[1:] = np.arange(2)[:, None] * 100.0
    result = quantize(graph, samples, run=simulate, steps=[])
    exact = np.cumsum(np.tile(_sums(result.graph, samples), (STEPS, 1)) << 6, axis=0)
    counted = int((np.abs(exact) > 2**23 - 1).sum())  # it stays at the edge, and is pushed over it again
    told = [finding for finding in result.findings if finding.code == "SP421"]
    assert [finding.where for finding in told if "membrane" in finding.what] == ["layer 'lif'"]
    assert f": {counted} times on 3 calibration samples" in told[0].what
    assert all(finding.severity == "substituted" for finding in told)


def _sums(graph, samples):
    """What enters the neuron, [B], from the integers of the file."""
    node, entered = graph["fc"], np.rint(samples / float(graph["input"].unit)).astype(np.int64)
    sums = entered @ node.weight.astype(np.int64)[0]
    return np.floor(sums * 2.0**node.exponent).astype(np.int64)


def test_biases_of_a_readout_are_rounded_to_the_nearest():
    """A whole number of units, at most half of one away; a floor would be up to a whole one away."""
    rng = np.random.default_rng(0)
    bias = rng.normal(size=40).astype(np.float32)
    graph = chain(
        input=Input((6,)),
        fc=Linear(rng.normal(size=(8, 6)).astype(np.float32)),
        lif=LIF((8,), np.float32(0.5), np.full(STEPS, 0.5, np.float32)),
        out_fc=Linear(rng.normal(size=(40, 8)).astype(np.float32)),
        out=Readout((40,), np.full(STEPS, 0.25, np.float32), bias),
    )
    samples = rng.integers(0, 17, (20, 6)).astype(np.float32) / 16
    result = quantize(graph, samples, run=simulate, steps=[])
    out = result.graph["out"]
    assert isinstance(result.graph.arithmetic, Loihi)
    unit = out.unit.astype(np.float64) * out.weight[0] / 0.25
    away = out.bias * unit - bias
    assert np.abs(away).max() <= 0.5 * np.max(unit) * (1 + 1e-6)
    assert (away > 0).any()  # up as well as down
    assert (away < 0).any()


def test_calibration_samples_are_spread_evenly_over_the_split():
    """Data sets are often sorted by class: of 20 samples 5 are the 1st, 5th, 9th, 13th and 17th."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 17, (20, 4)).astype(np.float32) / 16
    x[[0, 4], 0] = 0, 1  # the range of all is seen
    graph = chain(
        input=Input((4,)),
        fc=Linear(rng.normal(size=(6, 4)).astype(np.float32)),
        lif=LIF((6,), np.float32(0.5), np.full(STEPS, 0.3, np.float32)),
        out=uniform(6),
    )
    result = quantize_verb(graph, data=Data("drawn", "train", x, np.arange(20) % 6), calibration=5, steps=[])
    told = result.graph.provenance["quantised"]["calibration"]
    spread = np.ascontiguousarray(x[[0, 4, 8, 12, 16]])
    assert told["samples"] == 5
    assert told["sha256"] == hashlib.sha256(spread.tobytes()).hexdigest()
    reference = simulate(graph, spread)
    assert np.array_equal(result.calibration.reference.outputs, reference.outputs)
