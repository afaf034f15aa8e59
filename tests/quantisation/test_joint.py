"""Biases, thresholds and decays that are rounded together come nearer to the real neurons than each by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quantize_examples import EXAMPLES, chain, convolutional, images, spikes, uniform
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Conv, Input, Linear
from spikeport.quantisation import prepare, quantize
from spikeport.quantisation.integers import neuron_integers
from spikeport.quantisation.membrane_units import bias_grain
from spikeport.quantisation.scales import LayerScale
from spikeport.quantisation.together import Wanted, rounded_together
from spikeport.tracing import capture
from spikeport.training import networks
from spikeport.training.catalogue import method
from spikeport.training.grid import to_grid
from spikeport.training.integers import IntegerNet

WITHOUT_CHANNELS = replace(LOIHI2, name="one threshold", channel_thresholds=False)


def rounded(bias, theta, decay=0.0, grain=128.0, lost=0.0, slower=0.0):
    wanted = Wanted(np.asarray([bias]), np.asarray(theta, float)[:, None], np.asarray([decay]))
    fine = [np.asarray([value]) for value in (grain, slower)]
    return rounded_together(wanted, fine[0], 4095, lost, fine[1], lambda cut: np.rint((np.ceil(cut) - 1) / 64))


@given(st.floats(-4e5, 4e5), st.floats(1.0, 10**6), st.floats(0, 60))
def test_a_threshold_without_memory_is_off_by_half_a_mantissa_whatever_its_bias_and_sums_lose(bias, theta, lost):
    """x + bias >= theta becomes x - lost + b > 64 m: the first x that fires differs by 32 units at most."""
    whole, mantissa = rounded(bias, [theta], lost=lost)
    assert whole[0] % 128 == 0
    assert abs((64 * mantissa[0, 0] + 1 - whole[0] + lost) - (theta - bias)) <= 33


def test_membranes_with_memory_take_the_mean_of_what_reset_and_rested_neurons_need():
    """d = 1/2, one neuron in five reset before: a bias off by e asks for e (1.5 * 0.8 + 0.2) at the second step."""
    for bias in (64.0, -37.0, 5.5):
        whole, mantissa = rounded(bias, [64000.0, 64000.0], decay=0.5)
        off = whole[0] - bias
        for step, factor in ((0, 1.0), (1, 0.8 * 1.5 + 0.2)):
            assert abs(64 * mantissa[step, 0] + 1 - (64000 + factor * off)) <= 33


def test_a_decay_that_is_off_moves_the_threshold_of_rested_neurons():
    """Constant input x reaches theta at the second step where x (1 + d) = theta; d + f adds f x."""
    theta, decay, slower = 640000.0, 0.25, 0.001
    (off,), mantissa = rounded(0.0, [theta, theta], decay=decay, slower=slower)
    assert abs(64 * mantissa[0, 0] + 1 - (theta + off)) <= 33
    rested, reset = off * (1 + decay) + slower * theta / (1 + decay), off
    assert abs(64 * mantissa[1, 0] + 1 - (theta + 0.8 * rested + 0.2 * reset)) <= 33
    assert abs(rested - reset) < slower * theta / (1 + decay)  # the bias takes a part of what parts the two


def test_fewer_spikes_of_exact_sums_differ():
    """Weights on their grid, large biases: only biases, thresholds and decay are rounded."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-126, 127, (64, 8)).astype(np.float32)
    weight[:, 0] = 127
    neurons = LIF(
        (64,),
        np.float32(0.37),
        np.float32([3000.3, 3100.4, 2900.7, 3050.2]),
        rng.uniform(-5000, 5000, 64).astype(np.float32),
    )
    graph = chain(input=Input((8,)), fc=Linear(weight), lif=neurons, out=uniform(64))
    samples = rng.integers(0, 128, (1000, 8)).astype(np.float32)
    differing = {}
    for steps in (["normalise"], ["normalise", "joint"]):
        quantised = quantize(graph, samples, run=simulate, steps=steps)
        assert quantised.report["steps"][-1]["kept"]
        a, b = (spikes(each, samples)[0]["lif"] for each in (graph, quantised.graph))
        differing[steps[-1]] = np.count_nonzero(a != b)
    assert differing["joint"] < differing["normalise"] / 2


@given(st.lists(st.floats(-5e5, 5e5), min_size=1, max_size=8))
def test_every_bias_has_the_finest_exponent_that_holds_it(biases):
    wanted = np.asarray(biases)
    grain = bias_grain(wanted, LOIHI2)
    assert (np.abs(wanted) <= 4095 * grain).all()
    assert ((grain == 1) | (np.abs(wanted) > 4095 * grain / 2)).all()
    node = LIF((len(wanted),), np.float32(0.5), np.full(2, 1e6, np.float32), wanted.astype(np.float32))
    neurons, findings = neuron_integers(node, "lif", LayerScale(np.ones(()), {}, {}), LOIHI2)
    assert not findings
    assert np.abs(neurons.bias - wanted).max() <= grain.max() / 2 + 0.1


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_format_without_channel_thresholds_gets_one_unit_a_layer(name):
    build, draw = EXAMPLES[name]
    integers = quantize(build(), draw(), WITHOUT_CHANNELS, run=simulate).graph
    for node in integers.nodes_of(LIF).values():
        assert node.unit.size == 1
        assert node.threshold.ndim == 1


def test_membranes_of_fewer_bits_saturate_in_training_as_in_the_engine():
    samples = images(24)
    integers = quantize(convolutional(), samples, run=simulate).graph
    narrow = integers.with_(
        arithmetic=replace(integers.arithmetic, profile=replace(integers.arithmetic.profile, state_bits=17))
    )
    truth, record = spikes(narrow, samples)
    assert record.overflows  # else the test shows nothing
    with torch.no_grad():
        _, fired = IntegerNet(narrow).run(torch.as_tensor(samples))
    for name, train in truth.items():
        assert np.array_equal(fired[name].numpy().astype(bool), train), name


@pytest.mark.parametrize("bits", [8, 5])
def test_weights_on_the_grid_survive_quantisation_unchanged(bits):
    """Batch normalisation scales channels, and so only the steps."""
    torch.manual_seed(0)
    module = networks.build(
        "conv",
        input_shape=(1, 8, 8),
        classes=4,
        timesteps=2,
        train_with=method("ds-atgo"),
        options={"channels": [4, 6], "hidden": 12},
    ).eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(part.weight, 0.5, 2)
    to_grid(module, bits)
    samples = images(32)
    graph = capture(module, samples.shape[1:], timesteps=2)
    real = prepare(graph)
    quantised = quantize(graph, samples, weight_bits=bits, run=simulate, steps=["normalise"])
    steps = {name: step for layer in quantised.plan.layers for name, step in quantised.plan.steps(layer).items()}
    for name, node in quantised.graph.nodes_of(Conv, Linear).items():
        assert np.allclose(node.weight * steps[name], real[name].weight, rtol=1e-5, atol=0), name
