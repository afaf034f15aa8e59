"""Samples of unequal length calibrate with their own steps: padding is in no mean and in no range."""

from __future__ import annotations

import numpy as np

import spikeport
from spikeport.engine import simulate
from spikeport.engine.lengths import run_to_ends, to_ends
from spikeport.formats.nir.mean_thresholds import averaged
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Readout, Samples, StepAffine
from spikeport.passes.first_steps import first_steps
from spikeport.quantisation import prepare, quantize
from spikeport.quantisation.bias import bias
from spikeport.quantisation.post_training import ALL_STEPS, first_plan, measure
from spikeport.quantisation.sweep import Calibration, Sweep
from spikeport.target import Request

STEPS, HIDDEN, CLASSES = 6, 8, 4
RNG = np.random.default_rng(3)
LENGTHS = np.tile([1, 6, 2, 3, 5], 8)
X = RNG.integers(1, 4, (STEPS, len(LENGTHS), 3)).astype(np.float32) / 4  # nothing is zero but padding
WEIGHTS = [RNG.normal(size=shape).astype(np.float32) for shape in ((HIDDEN, 3), (HIDDEN, HIDDEN), (CLASSES, HIDDEN))]


def network(*between):
    nodes = {"in": Input((3,), "events"), "one": Linear(WEIGHTS[0])}
    nodes |= {f"step{number}": node for number, node in enumerate(between)}
    nodes |= {"lif": LIF((HIDDEN,), np.float32(0.75), np.full(STEPS, 0.5, np.float32))}
    nodes |= {"two": Linear(WEIGHTS[1]), "lif2": LIF((HIDDEN,), np.float32(0.5), np.full(STEPS, 1, np.float32))}
    nodes |= {"three": Linear(WEIGHTS[2]), "out": Readout((CLASSES,), np.full(STEPS, 0.25, np.float32))}
    return Graph.chain(nodes, STEPS)


def test_what_mean_thresholds_cost_is_counted_up_to_the_ends(tmp_path):
    """Biases alone make neurons fire behind an end, where nobody looks."""
    lif = LIF((HIDDEN,), np.float32(0.5), np.linspace(0.5, 3, STEPS, dtype=np.float32), bias=np.float32(0.9))
    graph = network().replace({"lif": lif})
    np.savez(tmp_path / "x.npz", x=X, lengths=LENGTHS)
    told = spikeport.export(graph, tmp_path / "m.nir", thresholds="approx", data=tmp_path / "x.npz").findings
    samples = Samples(X, "events").ending(LENGTHS, "here")
    exact, mean = (run_to_ends(simulate, each, samples, Request()).spike_counts for each in (graph, averaged(graph)))
    change = sum(map(np.sum, mean.values())) / sum(map(np.sum, exact.values())) - 1
    assert [f"{change:+.1%} spikes" in finding.what for finding in told if finding.code == "SP209"] == [True]


def calibration(graph, lengths=LENGTHS):
    samples = Samples(X[:, : len(lengths)], "events").ending(lengths, "here")
    return samples, Calibration.of(to_ends(simulate, samples.lengths), graph, samples)


def started(graph, bits):
    samples, seen = calibration(graph)
    return first_plan(graph, samples, LOIHI2, bits)[0], seen


def test_the_step_bias_averages_over_each_samples_own_steps():
    """The readout always takes the change: in float64, what its trained weights give less what its integers give."""
    plan, seen = started(prepare(network()), 3)
    changed = bias(plan, seen)
    integers, _ = changed.build()
    samples = seen.samples
    fired = run_to_ends(simulate, integers, samples, Request(trains=True)).trains["lif2"].unpack()
    own = [fired[:length, number] for number, length in enumerate(LENGTHS)]
    mean = np.concatenate(own).astype(np.float64).mean(0)
    whole, out = integers["three"], integers["out"]
    one = 64 * out.unit * out.weight[0] / 0.25  # a sum enters shifted by 6 bits; 0.25 is the real weight of each step
    rounded = whole.weight.astype(np.float64) * 2.0**whole.exponent * one
    expected = (WEIGHTS[2].astype(np.float64) - rounded) @ mean
    change = changed.real["out"].bias - plan.real["out"].bias
    np.testing.assert_allclose(change, expected, rtol=1e-4, atol=1e-6)


def test_a_sum_has_the_biases_of_all_steps_that_a_sample_runs():
    """The first sample ends after one step, and takes no bias from those that go on."""
    steps = RNG.integers(-3, 4, (STEPS, HIDDEN)).astype(np.float32)
    plan, seen = started(prepare(network(StepAffine(np.ones(STEPS, np.float32), steps))), 8)
    (layer, *_), sweep = plan.layers, Sweep(plan, seen)
    nodes = {name: plan.real[name] for name in ("one", "step0")}
    sums = sweep.sums(nodes, layer, "lif")
    own = seen.own(sums)
    frames = np.rint(seen.samples.array / plan.grid.unit).astype(np.float64)
    expected = frames @ plan.real["one"].weight.T.astype(np.float64) + plan.real["step0"].bias[:, None]
    np.testing.assert_allclose(own, seen.own(expected), rtol=1e-5, atol=1e-5)
    assert own.shape == (LENGTHS.sum(), HIDDEN)


def test_samples_that_all_end_early_make_the_integers_of_the_network_cut_there():
    """Range of the input, every step and every figure of its effect: whatever looks at calibration samples.

    The step joint looks at none of them, but at all of a layer's thresholds, of which the cut network has fewer.
    """
    steps = [step for step in ALL_STEPS if step != "joint"]
    graph, cut = network(), first_steps(network(), 4)
    samples, _ = calibration(graph, np.full(len(LENGTHS), 4))
    padded = quantize(graph, samples, weight_bits=3, run=to_ends(simulate, samples.lengths), steps=steps)
    plain = quantize(cut, X[:4], weight_bits=3, run=simulate, steps=steps)
    for name in ("one", "two", "three"):
        assert np.array_equal(padded.graph[name].weight, plain.graph[name].weight), name
    for name in ("lif", "lif2", "out"):
        assert np.array_equal(padded.graph[name].bias, plain.graph[name].bias), name
    for name in ("lif", "lif2"):
        assert np.array_equal(padded.graph[name].decay, plain.graph[name].decay), name
        assert np.array_equal(padded.graph[name].threshold[:4], plain.graph[name].threshold), name
    assert measure(padded.plan, padded.calibration) == measure(plain.plan, plain.calibration)
    assert padded.plan.grid == plain.plan.grid
