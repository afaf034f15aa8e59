"""Integers do what the real network did: exactly where nothing has to be rounded, and within the rounding elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize_examples import STEPS, chain, convolutional, images, spikes
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, LOIHI2, Input, Linear, Loihi, Readout
from spikeport.quantisation import quantize
from spikeport.quantisation.inputs import exact_unit
from spikeport.quantisation.integers import neuron_integers, threshold_mantissas
from spikeport.quantisation.scales import LayerScale
from spikeport.target import Request, target


def dense(weight, *, thresholds=(3.0, 2.0, 4.0, 3.0), decay=1.0, bias=0.0, inputs=3, coding="events", **more):
    weight = np.asarray(weight, np.float32)
    return chain(
        input=Input((inputs,), coding),
        fc=Linear(weight),
        lif=LIF((len(weight),), np.float32(decay), np.asarray(thresholds, np.float32), np.float32(bias), **more),
        out=Readout((len(weight),), np.full(STEPS, 0.25, np.float32)),
    )


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["zero", "subtract", "none"]))
def test_whole_numbers_with_decay_one_lose_nothing(seed, reset):
    """Weights of at most 127 whole units, thresholds and biases in whole units: every spike and output is the same."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (5, 3))
    weight[np.arange(5), rng.integers(0, 3, 5)] = 127  # each channel fills its mantissa, so that the unit is one
    graph = dense(weight, thresholds=rng.integers(1, 300, STEPS), bias=float(rng.integers(-50, 50)), reset=reset)
    samples = rng.integers(0, 2, (STEPS, 8, 3)).astype(np.float32)
    samples[0, 0, 0] = 1
    integers = quantize(graph, samples, run=simulate).graph
    (before, real), (after, whole) = spikes(graph, samples), spikes(integers, samples)
    assert np.array_equal(before["lif"], after["lif"])
    assert np.allclose(real.outputs, whole.outputs * integers["out"].unit, rtol=1e-6)


@given(st.integers(1, 10**6), st.floats(1e-3, 10), st.sampled_from([">=", ">"]))
def test_thresholds_on_the_lattice_keep_the_comparison(steps, size, compare):
    """Membranes that are multiples of 64 units fire at the same multiple as the real comparison."""
    unit = np.asarray(size)
    theta = steps * size
    node = LIF((1,), np.asarray(1.0), np.full(STEPS, theta), compare=compare)
    mantissa = threshold_mantissas(node, unit, coarse=True)[0]
    for u in {0, int(mantissa) * 64, (int(mantissa) + 1) * 64, steps // 64 * 64, steps // 64 * 64 + 64}:
        real = u >= steps if compare == ">=" else u > steps
        assert (u > mantissa * 64) == real


@given(st.floats(1.0, 10**5), st.sampled_from([">=", ">"]))
def test_other_thresholds_are_off_by_half_a_mantissa_at_most(theta, compare):
    node = LIF((1,), np.asarray(0.5), np.full(STEPS, theta), compare=compare)
    mantissa = threshold_mantissas(node, np.asarray(1.0), coarse=False)[0]
    first_to_fire = np.ceil(theta) if compare == ">=" else np.floor(theta) + 1
    assert abs(mantissa * 64 + 1 - first_to_fire) <= 32


@pytest.mark.parametrize("steps", [1, 2, 7, 10, 16, 100, 255])
def test_the_step_of_exact_data_is_found(steps):
    values = np.unique(np.random.default_rng(0).integers(0, steps + 1, 500).astype(np.float32) / np.float32(steps))
    assert exact_unit(values.astype(np.float64), 0, 255) == 1 / steps


def test_data_without_a_step_are_rounded_and_that_is_said():
    graph = dense(np.eye(3), coding="direct")
    samples = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    result = quantize(graph, samples, run=simulate)
    node = result.graph["input"]
    assert "SP403" in {finding.code for finding in result.findings}
    assert (node.low, node.high) == (-128, 127)
    assert np.abs(np.rint(samples / node.unit) * node.unit - samples).max() <= node.unit / 2 * (1 + 1e-6)
    assert np.rint(samples.max() / node.unit) <= 127
    assert np.rint(samples.min() / node.unit) >= -128


def test_all_numbers_mean_what_the_real_ones_meant():
    """Weight, threshold and bias times their units are the real ones to within half a step of each format."""
    graph, integers = convolutional(), quantize(convolutional(), images(), run=simulate, steps=["normalise"]).graph
    assert isinstance(integers.arithmetic, Loihi)
    for synapse, neurons, area in (("conv", "lif1", 1), ("fc", "lif2", 4)):
        unit = integers[neurons].unit  # [C]
        step = unit * 64 * 2.0 ** integers[synapse].exponent / (integers["input"].unit if synapse == "conv" else 1)
        step = step.reshape(-1, *(1,) * (integers[synapse].weight.ndim - 1))
        error = np.abs(integers[synapse].weight * step - graph[synapse].weight / area)
        assert (error <= step / 2 * (1 + 1e-6)).all()
        assert (np.abs(integers[synapse].weight).reshape(len(unit), -1).max(1) == 127).all()
        theta = graph[neurons].threshold[:, None]
        assert (np.abs(integers[neurons].threshold * unit * 64 - theta) <= unit * 33).all()
        largest = np.abs(graph[synapse].bias / unit).max()
        grain = 2 ** max(0, int(np.ceil(np.log2(largest / 4095))))
        assert (np.abs(integers[neurons].bias * unit - graph[synapse].bias) <= unit * grain * 0.501).all()
        assert integers[neurons].decay == round(float(graph[neurons].decay) * 4096)
    assert (integers["out"].weight == 1).all()


def test_outputs_are_close_and_no_sum_overflows():
    graph, samples = convolutional(), images(100)
    integers = quantize(graph, samples, run=simulate).graph
    (before, real), (after, whole) = spikes(graph, samples), spikes(integers, samples)
    assert np.mean(before["lif1"] != after["lif1"]) < 0.01
    assert (
        np.abs(real.outputs - whole.outputs * integers["out"].unit).mean() < 0.05 * np.abs(real.outputs).mean() + 0.05
    )
    assert not whole.overflows


def test_it_is_deterministic():
    first, second = (quantize(convolutional(), images(), run=simulate) for _ in range(2))
    assert first.graph == second.graph


def refused(graph, samples=None, **options):
    samples = np.ones((STEPS, 4, 3), np.float32) if samples is None else samples
    with pytest.raises(SpikeportError) as caught:
        quantize(graph, samples, run=simulate, **options)
    return caught.value


def test_what_cannot_be_is_refused_with_the_layer_and_the_remedy():
    cases = {
        "SP400": refused(dense(np.eye(3)), weight_bits=9),
        "SP401": refused(dense(np.eye(3)), np.zeros((STEPS, 4, 3), np.float32)),
        "SP410": refused(dense(np.zeros((2, 3)))),
        "SP414": refused(dense(np.eye(3), thresholds=(1e-6,) * 4)),
    }
    nan = np.ones((STEPS, 4, 3), np.float32)
    nan[0, 0, 0] = np.nan
    assert refused(dense(np.eye(3)), nan).code == "SP401"
    for code, error in cases.items():
        assert error.code == code
    assert "fc" in str(cases["SP410"]) or "lif" in str(cases["SP410"])
    assert "lif" in str(cases["SP414"])
    assert refused(dense(np.eye(3), thresholds=(1.0, -1.0, 1.0, 1.0))).code == "SP414"


def test_dead_channels_and_constant_layers_are_no_trouble():
    weight = np.full((4, 3), 0.5)
    weight[2] = 0
    result = quantize(dense(weight, thresholds=(1.0,) * 4), np.ones((STEPS, 4, 3), np.float32), run=simulate)
    assert "SP411" in {finding.code for finding in result.findings}
    assert (result.graph["fc"].weight == np.where(weight > 0, 127, 0)).all()


def test_an_integer_graph_is_not_quantised_again():
    integers = quantize(convolutional(), images(), run=simulate).graph
    assert refused(integers, images()).code == "SP400"


def test_sums_of_graded_input_fit_24_bits():
    """25 inputs of up to 255 times 127 need 20 bits; a sum has 17 (24 less the 6 of the membrane and the sign)."""
    weight = np.random.default_rng(0).random((4, 25)).astype(np.float32)
    graph = dense(weight, inputs=25, thresholds=(4.0,) * 4, decay=0.5, coding="direct")
    samples = np.random.default_rng(1).integers(0, 256, (30, 25)).astype(np.float32) / 255
    samples[0] = 1
    integers = quantize(graph, samples, run=simulate).graph
    (before, _), (after, record) = spikes(graph, samples), spikes(integers, samples)
    assert not record.overflows
    assert integers["fc"].exponent < 0
    assert np.abs(integers["fc"].weight).max() == 127
    assert np.mean(before["lif"] != after["lif"]) < 0.05


def test_sums_that_overflow_get_room():
    """Binary inputs, thresholds so small that they leave no bits to spare: found by the run, not by the worst case."""
    weight = np.full((2, 3000), 1.0)
    graph = dense(weight, inputs=3000, thresholds=(1.0,) * 4, decay=0.5)
    samples = np.ones((STEPS, 3, 3000), np.float32)
    result = quantize(graph, samples, run=simulate)
    _, record = spikes(result.graph, samples)
    assert not record.overflows
    assert result.graph["fc"].exponent < 0


def test_thresholds_that_do_not_fit_are_counted_for_each_layer():
    """17 bits hold 131,071 units of 64; scales are chosen so that thresholds fit, others are counted."""
    for thresholds, count in (((131_071, 9, 131_073, 140_000), 2), ((140_000, np.inf, 9, 9), 1), ((131_071,) * 4, 0)):
        node = LIF((2,), np.float32(1), np.asarray(thresholds) * 64.0)
        scale = LayerScale(np.ones(()), {}, {})
        findings = [each for each in neuron_integers(node, "lif", scale, LOIHI2)[1] if each.code == "SP414"]
        assert [each.where for each in findings] == ["node 'lif'"] * bool(count)
        assert all(each.what.startswith(f"{count} of 4 thresholds") for each in findings)


def test_infinite_thresholds_are_counted_and_the_record_remembers_them(tmp_path):
    samples = np.ones((STEPS, 4, 3), np.float32)
    quantised = quantize(dense(np.eye(3), thresholds=(np.inf, 1.0, np.inf, 1.0)), samples, run=simulate)
    assert [finding.what[:2] for finding in quantised.findings if finding.code == "SP417"] == ["2 "]
    assert quantised.graph.provenance["quantised"]["thresholds_clipped"] == {"lif": 2}
    nir.write(quantised.graph, tmp_path / "model.nir")
    for graph in (quantised.graph, nir.read(tmp_path / "model.nir")[0]):
        for name in ("integer", "lava"):
            finding = [each for each in target(name).check(graph) if each.code == "SP417"]
            assert [(each.where, each.what[:2]) for each in finding] == [("node 'lif'", "2 ")]
        record = target("integer").run(graph, samples, Request())
        assert [each.where for each in record.findings if each.code == "SP417"] == ["node 'lif'"]
    plain = quantize(dense(np.eye(3)), samples, run=simulate).graph
    assert not [each for each in target("integer").check(plain) if each.code == "SP417"]
