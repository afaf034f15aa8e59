"""A constant first layer is priced once, and what goes with the firing rate is told from what does not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from spikeport.costs import counts, estimate, shipped
from spikeport.engine import simulate
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.target import Request

T, IN, HIDDEN, OUT = 4, 7, 5, 3


def network():
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((IN,)),
        "first": Linear(rng.normal(size=(HIDDEN, IN)).astype(np.float32)),
        "lif": LIF((HIDDEN,), np.float32(0.5), np.full(T, 0.3, np.float32)),
        "second": Linear(rng.normal(size=(OUT, HIDDEN)).astype(np.float32)),
        "out": Readout((OUT,), np.full(T, 1 / T, np.float32)),
    }
    return Graph(nodes, tuple(pairwise(nodes)), T)


def run(samples):
    graph = network()
    return graph, simulate(graph, samples, Request(events=True, trains=True))


@pytest.fixture(scope="module")
def analog():
    return run(np.random.default_rng(1).normal(size=(6, IN)).astype(np.float32))


def test_a_constant_frame_is_multiplied_once_and_at_every_step_at_most(analog):
    """IN x HIDDEN products for a sample: its sums are the same at each of T steps, and are kept."""
    first = counts(*analog).synapses["first"]
    once = float(IN * HIDDEN)
    assert (first.macs.low, first.macs.nominal, first.macs.high) == (pytest.approx(once), once, T * once)
    assert (first.steps.low, first.steps.high) == (once, T * once)
    assert first.accumulates.high == 0
    assert first.constant
    assert first.analog


def test_constant_ones_are_added_once_and_at_every_step_at_most():
    """k ones a sample meet HIDDEN weights each: k x HIDDEN additions, not T times as many."""
    samples = (np.random.default_rng(2).random((6, IN)) < 0.5).astype(np.float32)
    graph, record = run(samples)
    first = counts(graph, record).synapses["first"]
    once = int(samples.sum()) * HIDDEN / 6
    assert first.accumulates.nominal == pytest.approx(once, rel=1e-12)
    assert first.accumulates.high == pytest.approx(T * once, rel=1e-12)
    assert first.macs.high == 0


def test_the_same_layer_behind_neurons_is_priced_at_every_step(analog):
    graph, record = analog
    second = counts(graph, record).synapses["second"]
    spikes = record.trains["lif"].unpack().sum() / 6
    assert second.accumulates.nominal == pytest.approx(spikes * OUT, rel=1e-12)
    assert not second.constant


def test_of_the_arithmetic_only_what_spikes_add_goes_with_the_rate(analog):
    graph, record = analog
    energy = estimate(graph, record, ["45nm-fp32"])
    spikes = record.trains["lif"].unpack().sum() / 6
    assert energy["45nm-fp32"].by_spikes == pytest.approx(spikes * OUT * 0.9e-12, rel=1e-12)
    assert energy["45nm-fp32"].nominal > energy["45nm-fp32"].by_spikes
    assert energy["45nm-fp32-ann"].by_spikes == 0


def test_on_a_chip_updates_and_the_frame_do_not_go_with_the_rate(analog):
    """Operations of the second synapse, spikes and their messages do; Davies et al. 2018: 23.6, 1.7 and 1.7 pJ."""
    graph, record = analog
    spikes = record.trains["lif"].unpack().sum() / 6
    model = shipped()["loihi1-davies2018"]
    chip = estimate(graph, record, [model.id])[model.id]
    each = (OUT * model["synapse_dense"].nominal, model["spike"].nominal, model["message"].nominal)
    assert chip.by_spikes == pytest.approx(spikes * sum(each), rel=1e-12)


@pytest.mark.parametrize("frame", [1.0, 1 / 3])
@pytest.mark.parametrize("model", shipped())
def test_a_run_without_spikes_has_nothing_that_goes_with_them(model, frame):
    """Silent neurons leave a frame of ones, or of thirds, and the updates: none of that goes with the firing rate."""
    graph = network().replace({"lif": network()["lif"].with_(threshold=np.full(T, np.inf, np.float32))})
    record = simulate(graph, np.full((2, IN), frame, np.float32), Request(events=True, trains=True))
    energy = estimate(graph, record, [model])
    assert energy[model].nominal > 0
    assert all(each.by_spikes == 0 for each in energy.values())
