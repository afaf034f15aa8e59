"""Each step does what its sentence says, can be left out, and is measured."""

from __future__ import annotations

import numpy as np
import pytest

from quantize_examples import EXAMPLES, THETA, chain, convolutional, images, residual, spikes, uniform
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI1, LOIHI2, Delay, Input, Linear, Scale
from spikeport.quantisation import STEPS, prepare, quantize
from spikeport.quantisation.bias import bias
from spikeport.quantisation.decay import decay
from spikeport.quantisation.fold_scale import fold_scale
from spikeport.quantisation.mantissa import Mantissa
from spikeport.quantisation.normalise import normalise
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.post_training import first_plan
from spikeport.quantisation.ranges import ranges
from spikeport.quantisation.rounding import Moments, round_together, rounding
from spikeport.quantisation.sweep import Calibration, Sweep, differing
from spikeport.quantisation.thresholds import thresholds
from spikeport.target import Request


def start(graph, samples, bits=8):
    real = prepare(graph)
    plan, _ = first_plan(real, samples, LOIHI2, bits)
    return normalise(plan, None), Calibration.of(simulate, real, samples)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "recurrent"])
def test_a_sweep_sees_every_layer_as_the_engine_runs_it(name):
    build, draw = EXAMPLES[name]
    plan, seen = start(build(), draw(), 4)
    sweep = Sweep(plan, seen)
    for layer in sweep.layers():
        sweep.settle(plan, layer)
    fired, _ = spikes(plan.build()[0], draw())
    for layer, truth in fired.items():
        assert np.array_equal(sweep.messages[layer].astype(bool), truth)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("bits", [8, 5])
def test_networks_of_every_kind_keep_most_spikes(name, bits):
    """Rounding weights to b bits moves a sum by about 2**-b of its size, and as many spikes near their threshold."""
    build, draw = EXAMPLES[name]
    graph, samples = build(), draw()
    result = quantize(graph, samples, weight_bits=bits, run=simulate)
    (before, _), (after, record) = spikes(graph, samples), spikes(result.graph, samples)
    first = next(iter(before))
    assert np.mean(before[first] != after[first]) < 4 * 2.0**-bits
    assert not record.overflows
    assert [effect["step"] for effect in result.report["steps"]] == ["none", *STEPS]


def test_a_step_that_is_left_out_is_not_taken():
    result = quantize(convolutional(), images(), run=simulate, steps=["bias"])
    assert [effect["step"] for effect in result.report["steps"]] == ["none", "bias"]
    unit = result.graph["lif1"].unit / result.graph["input"].unit * 64 * 2.0 ** result.graph["conv"].exponent
    assert np.array_equal(np.log2(unit), np.rint(np.log2(unit)))  # without normalise, weights have steps of 2**k


def test_steps_that_make_the_result_worse_are_taken_back():
    effects = quantize(convolutional(), images(), weight_bits=3, run=simulate).report["steps"]
    best = np.inf
    for effect in effects:
        badness = effect["output_error"] * effect["spike_mismatch"]
        assert effect["kept"] == (badness <= best * (1 + 1e-6))
        best = min(best, badness)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_mse_ranges_round_weights_at_least_as_well_as_the_largest_weight_does(bits):
    plan, seen = start(convolutional(), images(), bits)

    def error(plan):
        integers, _ = plan.build()
        unit = integers["lif2"].unit * 64 * 2.0 ** integers["fc"].exponent
        return np.square(integers["fc"].weight * unit[:, None] - plan.real["fc"].weight).sum()

    assert error(ranges(plan, seen, "mse")) <= error(plan) * 1.02  # thresholds have a say too


def test_mismatch_ranges_leave_no_more_wrong_spikes_than_their_start():
    plan, seen = start(convolutional(), images(), 3)
    first = plan.layers[0]
    chosen = ranges(plan, seen, "mismatch")
    before, after = (differing(Sweep(each, seen), each, first) for each in (ranges(plan, seen, "mse"), chosen))
    assert after <= before


def test_percentile_ranges_clip_and_say_nothing_is_above():
    plan, seen = start(convolutional(), images(), 4)
    for name, limits in ranges(plan, seen, "percentile").limits.items():
        for term, limit in limits.items():
            assert (limit <= plan.limits[name][term]).all()
            assert (limit >= plan.limits[name][term] / 2).all()


def test_bias_takes_the_mean_error_of_the_first_layer_away():
    """The first layer's input is exact, so after the step its mean sum is the real one to within the bias's grain."""
    plan, seen = start(convolutional(), images(60), 3)
    layer = plan.layers[0]

    def mean_error(plan):
        nodes, _ = plan.nodes(layer)
        neurons, scale = nodes["lif1"], plan.scale(layer)[0]
        sums = Sweep(plan, seen).sums(nodes, layer, "lif1").mean(axis=(0, 1, 3, 4))
        weight = convolutional()["conv"].with_(bias=None)
        chained = chain(
            input=Input((1, 8, 8)), conv=weight, probe=LIF((8, 8, 8), np.float32(0), THETA * np.inf, reset="none")
        )
        real = simulate(chained, images(60), Request(membranes=True)).membranes["probe"].mean(axis=(0, 1, 3, 4))
        wanted = real + convolutional()["conv"].bias
        return np.abs(sums * 64 * scale.unit + neurons.bias * scale.unit - wanted).max()

    assert mean_error(bias(plan, seen)) < mean_error(plan) / 10


def test_decay_makes_up_for_truncation():
    """Where membranes are a few units, trunc(v d) is too small by half a unit on average."""
    graph = chain(
        input=Input((3,)),
        fc=Linear(np.eye(3, dtype=np.float32) * 127),
        lif=LIF((3,), np.float32(0.5), THETA * 1e4),
        out=uniform(3),
    )
    samples = np.random.default_rng(0).integers(1, 17, (20, 3)).astype(np.float32)
    plan, seen = start(graph, samples)
    chosen = decay(plan, seen).decays["lif"]
    sweep = Sweep(plan, seen)
    nodes, _ = plan.nodes(plan.layers[0])
    sums = sweep.sums(nodes, plan.layers[0], "lif")
    v = sweep.neurons([nodes["lif"]], sums, membranes=True).membranes["neurons0"][:-1]

    def error(numerator):
        return np.square(np.trunc(v * numerator / 4096) - v * 0.5).mean()

    assert chosen >= 2048
    assert error(chosen) <= error(2048)


def test_thresholds_come_nearer_to_the_real_spikes():
    plan, seen = start(convolutional(), images(60), 3)
    moved = thresholds(plan, seen)
    layer = plan.layers[0]
    assert differing(Sweep(moved, seen), moved, layer) <= 1.1 * differing(Sweep(plan, seen), plan, layer)


def test_thresholds_that_cannot_vary_are_refused_until_collapse_is_asked_for():
    with pytest.raises(SpikeportError) as caught:
        quantize(convolutional(), images(), LOIHI1, run=simulate)
    assert {finding.code for finding in caught.value.findings} >= {"SP116"}
    result = quantize(convolutional(), images(), LOIHI1, run=simulate, collapse_thresholds="mean")
    assert sum(finding.code == "SP422" for finding in result.findings) == 2
    for name in ("lif1", "lif2"):
        node = result.graph[name]
        assert (node.threshold == node.threshold[:1]).all()
        mean = float(np.mean(THETA)) / (64 * node.unit)
        assert np.abs(node.threshold[0] / mean - 1).max() < 0.05  # moved by the threshold search at most


def test_signs_hold_one_bit_more_where_weights_have_one():
    assert [(Mantissa(4, s).low, Mantissa(4, s).high) for s in ("mixed", "excitatory", "inhibitory")] == [
        (-8, 7),
        (0, 15),
        (-15, 0),
    ]
    graph = chain(
        input=Input((3,)),
        fc=Linear(np.abs(np.random.default_rng(0).normal(size=(5, 3))).astype(np.float32)),
        lif=LIF((5,), np.float32(0.5), THETA),
        out=uniform(5),
    )
    samples = np.random.default_rng(1).integers(0, 17, (20, 3)).astype(np.float32) / 16
    options = {"weight_bits": 4, "run": simulate, "steps": ["normalise"]}
    assert quantize(graph, samples, signs="auto", **options).graph["fc"].weight.max() == 15
    assert quantize(graph, samples, **options).graph["fc"].weight.max() == 7
    with pytest.raises(SpikeportError) as caught:
        quantize(graph, samples, signs="inhibitory", **options)
    assert caught.value.code == "SP424"


def test_a_scale_behind_a_synapse_is_folded_into_it():
    each = Scale(np.asarray([1.0, 2.0, 4.0], np.float32))
    neurons = LIF((3,), np.float32(0.5), THETA)
    alone = chain(input=Input((3,)), up=each, lif=neurons)
    assert fold_scale(alone) == alone  # no synapse to take it
    graph = chain(input=Input((3,)), fc=Linear(np.ones((3, 3), np.float32)), up=each, lif=neurons)
    folded = fold_scale(graph)
    assert "up" not in folded.nodes
    samples = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    assert np.array_equal(spikes(graph, samples)[0]["lif"], spikes(folded, samples)[0]["lif"])


def test_a_factor_behind_a_delay_goes_into_the_synapse_before_it():
    """A delay keeps what it hands on, so that a factor before it is the same."""
    neurons = LIF((3,), np.float32(0.5), THETA)
    for factor in (np.float32(0.5), np.asarray([0.5, 2, -1], np.float32)):
        nodes = {"input": Input((3,)), "fc": Linear(np.eye(3, dtype=np.float32)), "wait": Delay((3,), 2)}
        graph = chain(**nodes, times=Scale(factor), lif=neurons)
        folded = fold_scale(graph)
        assert list(folded.nodes) == ["input", "fc", "wait", "lif"]
        samples = 2 * np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
        before, after = (spikes(each, samples)[0]["lif"] for each in (graph, folded))
        assert before.any()
        assert np.array_equal(before, after)


def test_residual_sums_are_graded_messages():
    plan, seen = start(residual(), images())
    sweep = Sweep(plan, seen)
    for layer in sweep.layers():
        sweep.settle(plan, layer)
    assert set(np.unique(sweep.entering("conv3"))) <= {0.0, 1.0, 2.0}
    findings = quantize(residual(), images(), LOIHI1, run=simulate, collapse_thresholds="first").findings
    assert "SP426" in {finding.code for finding in findings}


def test_a_plan_needs_no_calibration_to_be_built():
    plan, _ = start(convolutional(), images())
    assert isinstance(plan, Plan)
    assert plan.build()[0] == plan.build()[0]


def test_rounding_together_leaves_smaller_errors_of_the_sums():
    """Compared with rounding to the nearest, on the inputs that the first layer really gets."""
    plan, seen = start(convolutional(), images(60), 4)
    joint = rounding(plan, seen)

    def error(plan):
        nodes, _ = plan.nodes(plan.layers[0])
        scale, _ = plan.scale(plan.layers[0])
        sums = Sweep(plan, seen).sums(nodes, plan.layers[0], "lif1") * 64 * scale.unit.reshape(-1, 1, 1)
        exact = convolutional()["conv"].with_(bias=None)
        probe = LIF((8, 8, 8), np.float32(0), THETA * np.inf, reset="none")
        graph = chain(input=Input((1, 8, 8)), conv=exact, probe=probe)
        real = simulate(graph, images(60), Request(membranes=True)).membranes["probe"][:1]
        return np.square(sums - real).mean()

    assert error(joint) < error(plan)


def test_a_diagonal_of_moments_rounds_to_the_nearest():
    weight = np.random.default_rng(0).normal(size=(3, 6)) * 5
    rows = np.diag(np.arange(1.0, 7.0))
    assert np.array_equal(round_together(weight, Moments.of(rows), Mantissa(5)), np.clip(np.rint(weight), -16, 15))


def test_weights_are_rounded_in_turn_whatever_is_rounded_beside_them():
    """GPTQ's algorithm 1 line by line, a row at a time, for two steps at once and more columns than a block has."""
    rng = np.random.default_rng(3)
    moments = Moments.of(rng.random((2000, 150)) * rng.random(150))
    weight, expected = rng.normal(size=(2, 3, 150)) * 9, np.empty((2, 3, 150))
    for index in np.ndindex(2, 3):
        row = weight[index][moments.order].copy()
        for j in range(150):
            expected[(*index, moments.order[j])] = whole = np.clip(np.rint(row[j]), -16, 15)
            row[j + 1 :] -= (row[j] - whole) / moments.factor[j, j] * moments.factor[j, j + 1 :]
    assert np.array_equal(round_together(weight, moments, Mantissa(5)), expected)


def test_split_holds_the_first_layer_in_more_bits():
    samples = images(60)
    options = {"weight_bits": 4, "run": simulate}
    plain = quantize(convolutional(), samples, steps=["normalise"], **options).graph
    finer = quantize(convolutional(), samples, steps=["normalise", "split"], **options).graph
    assert set(finer.nodes) - set(plain.nodes) == {"conv.fine"}
    truth = spikes(convolutional(), samples)[0]["lif1"]
    wrong = [np.count_nonzero(spikes(graph, samples)[0]["lif1"] != truth) for graph in (plain, finer)]
    assert wrong[1] < wrong[0] / 4
