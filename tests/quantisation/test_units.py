"""Units, exponents and what is rounded together follow from the rules that the docstrings state, by plain loops."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest

from quantize_examples import STEPS, THETA, chain, convolutional, images, uniform
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Conv, Input, Linear
from spikeport.quantisation import prepare
from spikeport.quantisation.decay import decay
from spikeport.quantisation.mantissa import Mantissa
from spikeport.quantisation.normalise import normalise
from spikeport.quantisation.post_training import first_plan, measure
from spikeport.quantisation.rounding import tried
from spikeport.quantisation.scales import LayerScale
from spikeport.quantisation.sweep import Calibration
from spikeport.quantisation.thresholds import thresholds
from spikeport.quantisation.together import Wanted, beyond, rounded_together
from spikeport.target import Request


def planned(graph, samples, bits=8):
    """A plan whose units may be any number."""
    plan, _ = first_plan(prepare(graph), samples, LOIHI2, bits)
    return normalise(plan, None)


def dense(weight, theta, decay=0.5, **neuron):
    lif = LIF((len(weight),), np.float32(decay), np.asarray(theta, np.float32), **neuron)
    return chain(input=Input((len(weight[0]),)), fc=Linear(np.asarray(weight, np.float32)), lif=lif, out=uniform(2))


@pytest.mark.parametrize(
    ("bits", "sign", "low", "high", "top"),
    [
        (8, "mixed", -128, 127, 127),
        (3, "mixed", -4, 3, 3),
        (1, "mixed", -1, 0, 1),
        (8, "excitatory", 0, 127, 127),
        (4, "excitatory", 0, 15, 15),
        (8, "inhibitory", -128, 0, 128),
        (4, "inhibitory", -15, 0, 15),
    ],
)
def test_a_mantissa_holds_what_its_bits_and_sign_say(bits, sign, low, high, top):
    mantissa = Mantissa(bits, sign)
    assert (mantissa.low, mantissa.high, mantissa.top) == (low, high, top)


def test_a_unit_is_the_largest_weight_over_the_largest_mantissa():
    """mantissa * 2**exponent * 64 units = weight * unit of the input."""
    plan = planned(convolutional(), images())
    layer = plan.layers[0]
    scale, _ = plan.scale(layer)
    largest = np.abs(convolutional()["conv"].weight).max(axis=(1, 2, 3))
    np.testing.assert_allclose(scale.unit * 64 * 2.0 ** scale.exponents["conv"] * 127, largest / 16, rtol=1e-6)


def test_small_layers_get_the_exponent_that_gives_their_thresholds_twelve_bits():
    for theta in (0.3, 1.0, 7.0):
        plan = planned(dense([[0.5, 0.1]] * 2, [theta] * STEPS), np.eye(2, dtype=np.float32))
        scale, _ = plan.scale(plan.layers[0])
        assert 2**12 <= theta / (64 * scale.unit[0]) < 2**13


@pytest.mark.parametrize("reset", ["zero", "none"])
def test_large_sums_get_the_largest_exponent_whose_worst_case_fits(reset):
    """Spikes enter; a membrane that never fires reaches sum + bias times 1 + d + d^2 + d^3, and a threshold more."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(2, 200)).astype(np.float32), np.asarray([3.0, 9.0], np.float32)
    spikes = rng.integers(0, 2, (9, 200)).astype(np.float32)
    plan = planned(dense(weight, [0.5, 0.6, 0.55, 0.4], reset=reset, bias=bias), spikes)
    low, high = plan.grid.seen
    worst = [
        max(sum(max(w * low, w * high) for w in row), -sum(min(w * low, w * high) for w in row))
        for row in weight.astype(float)
    ]
    most = [
        (1 + 0.5 + 0.25 + 0.125) * (s + b) + (0.6 if reset != "none" else 0) for s, b in zip(worst, bias, strict=True)
    ]
    scale, _ = plan.scale(plan.layers[0])
    room = [(2**23 - 1) * unit / size for unit, size in zip(scale.unit, most, strict=True)]
    assert 1 <= min(room) < 2  # one more bit and a channel would not fit


def test_sums_lose_half_of_what_a_negative_exponent_drops():
    """2**-3 leaves eighths, 0 ... 7 of 8 alike: 7/16 of a unit of 64, once for each of the sums that a pool adds."""
    plan = planned(convolutional(), images())
    layer = next(each for each in plan.layers if each.terms[0].name == "conv")
    assert plan.lost(layer, LayerScale(np.ones(8), {"conv": -3}, {})) is None
    joint = plan.with_(joint=True)
    assert joint.lost(layer, LayerScale(np.ones(8), {"conv": -3}, {})) == 64 * 7 / 16
    assert joint.lost(layer, LayerScale(np.ones(8), {"conv": 2}, {})) == 0


def test_together_takes_the_bias_that_leaves_the_least_square():
    """The rules of `rounded_together`, neuron by neuron."""
    rng = np.random.default_rng(1)
    count, steps, lost = 12, 3, 17.0
    bias, theta = rng.normal(size=count) * 5000, rng.uniform(1e3, 1e5, (steps, count))
    decays, slower = rng.uniform(0.1, 0.95, count), rng.normal(size=count) * 1e-4
    grain = rng.choice([64.0, 128.0, 32.0], count)

    def mantissas(cut):
        return np.rint((np.ceil(cut) - 1) / 64)

    got = rounded_together(Wanted(bias, theta, decays), grain, 4095, lost, slower, mantissas)
    for n in range(count):
        d, best = decays[n], None
        for move in sorted(range(-4, 5), key=abs):
            b = min(max(round(bias[n] / grain[n]) + move, -4095), 4095) * grain[n]
            off, cost, chosen = b - bias[n] - lost, 0.0, []
            for t in range(steps):
                reached = sum(d**k for k in range(t + 1))
                grown = sum(k * d ** (k - 1) for k in range(1, t + 1))
                rested = off * reached + slower[n] * theta[t, n] * grown / reached
                cut = theta[t, n] + 0.8 * rested + 0.2 * off
                chosen.append(float(mantissas(cut)))
                cost += (chosen[-1] * 64 + 1 - ceil(cut)) ** 2 + 0.2 * 0.8 * (rested - off) ** 2
            if best is None or cost < best[0] * (1 - 1e-9):
                best = (cost, b, chosen)
        assert (got[0][n], list(got[1][:, n])) == (best[1], best[2])


def test_an_integer_that_fires_too_late_lies_beyond():
    """u > 64 m: 65 is the first that fires for m = 1, 129 for m = 2."""
    assert beyond(np.asarray([1, 2, 1]), np.asarray([65.0, 65.0, 64.2])).tolist() == [0, 64, 0]
    assert beyond(np.asarray([1]), np.asarray([70.0])).tolist() == [-5]


def test_a_decay_is_what_leaves_the_least_square_after_truncation():
    """4096 (d + E|v| / (2 E v^2)) over the membranes before the last step, from a run of the integers themselves."""
    rng = np.random.default_rng(0)
    graph = dense(rng.normal(size=(2, 4)), THETA * 3, decay=0.3)
    samples = rng.integers(0, 4, (20, 4)).astype(np.float32)
    plan = planned(graph, samples)
    integers, _ = plan.build()
    v = simulate(integers, samples, Request(membranes=True)).membranes["lif"][:-1].astype(float)
    more = np.abs(v).mean() / (2 * np.square(v).mean())
    chosen = decay(plan, Calibration.of(simulate, plan.real, samples)).decays["lif"]
    np.testing.assert_allclose(chosen, 4096 * (np.float32(0.3) + more), rtol=1e-9)


def test_what_a_step_is_judged_by_is_the_difference_from_the_real_network():
    graph, samples = convolutional(), images()
    plan = planned(graph, samples, 3)
    integers, _ = plan.build()
    real, whole = (simulate(each, samples, Request(trains=True)) for each in (plan.real, integers))
    outputs = whole.outputs * float(integers["out"].unit)
    pairs = [(real.trains[name].unpack(), whole.trains[name].unpack()) for name in ("lif1", "lif2")]
    measured = measure(plan, Calibration.of(simulate, plan.real, samples))
    error = np.linalg.norm(real.outputs.astype(float) - outputs) / np.linalg.norm(real.outputs.astype(float))
    assert measured["output_error"] == pytest.approx(error, rel=1e-9)
    assert measured["spike_mismatch"] == sum((a != b).sum() for a, b in pairs) / sum(a.size for a, _ in pairs)
    assert measured["argmax_agreement"] == np.mean(real.outputs.argmax(1) == outputs.argmax(1))


def test_the_search_of_rounding_is_as_long_as_its_work_allows():
    """2**34 multiplications; a try takes outputs x inputs^2 of them, and there are 32 tries at most."""
    assert tried(Linear(np.zeros((64, 4096), np.int8))) == 16
    assert tried(Conv(np.zeros((2**13, 4, 16, 16), np.int8))) == 2
    assert tried(Conv(np.zeros((512, 512, 3, 3), np.int8))) == floor(2**34 / (512 * 4608**2)) == 1
    assert tried(Linear(np.zeros((10, 10), np.int8))) == 31


def test_thresholds_move_in_grains_of_the_weights_bits():
    """A threshold times 1, 1 +- g / 2, 1 +- g or 1 +- 2 g with g = 2**-bits."""
    graph, samples = convolutional(), images()
    plan = planned(graph, samples, 3)
    moved = thresholds(plan, Calibration.of(simulate, plan.real, samples))
    factors = {float(f) for name in ("lif1", "lif2") for f in moved.real[name].threshold / plan.real[name].threshold}
    grains = {round((factor - 1) * 8, 4) for factor in factors}
    assert grains <= {0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5}
    assert len(grains) > 1
