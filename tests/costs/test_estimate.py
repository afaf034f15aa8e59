"""Joules follow from counted events by arithmetic that a reader can redo on paper."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from spikeport.costs import counts, estimate, find, shipped, verdicts
from spikeport.costs.model import Range, exactly, replaced
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Readout
from spikeport.target import Request

T, B = 4, 5


def network(input_shape=(1, 6, 6), coding="direct", seed=0):
    """conv - lif - conv - lif - linear, one weight of the linear layer zero."""
    rng = np.random.default_rng(seed)
    thresholds = np.linspace(0.4, 0.7, T, dtype=np.float32)
    conv1 = rng.normal(size=(3, input_shape[0], 3, 3)).astype(np.float32)
    conv2 = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    linear = rng.normal(size=(2, 4 * 2 * 2)).astype(np.float32)
    linear[0, 0] = 0
    nodes = {
        "input": Input(input_shape, coding),
        "conv1": Conv(conv1, padding=(1, 1)),
        "lif1": LIF((3, 6, 6), decay=np.float32(0.5), threshold=thresholds),
        "conv2": Conv(conv2, stride=(3, 3), padding=(1, 1)),
        "lif2": LIF((4, 2, 2), decay=np.float32(0.5), threshold=thresholds),
        "flat": Flatten(),
        "linear": Linear(linear),
        "out": Readout((2,), np.full(T, 1 / T, np.float32)),
    }
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), T)


@pytest.fixture(scope="module")
def ran():
    graph = network()
    x = np.random.default_rng(1).normal(size=(B, 1, 6, 6)).astype(np.float32)
    return graph, simulate(graph, x, Request(events=True, trains=True))


def test_an_ann_pays_each_dense_multiply_add_once(ran):
    """conv1: 16 inner positions meet 9 taps, 16 edge ones 6, 4 corners 4 (256 a map pair); conv2: 4 windows of which
    one lies inside, two lose a side and one a corner: 9 + 6 + 6 + 4 taps; linear 32."""
    graph, record = ran
    inner, edge, corner = 16 * 9, 16 * 6, 4 * 4
    macs = (inner + edge + corner) * 3 + (9 + 6 + 6 + 4) * 3 * 4 + 32
    ann = estimate(graph, record, ["45nm-fp32"])["45nm-fp32-ann"]
    assert ann.nominal == pytest.approx(macs * 4.6e-12, rel=1e-12)
    assert ann.low == pytest.approx((macs - 1) * 4.6e-12, rel=1e-12)  # one weight is zero


def test_a_constant_analog_layer_is_multiplied_once_and_t_times_where_nothing_is_cached(ran):
    graph, record = ran
    energy = estimate(graph, record, ["45nm-fp32"])["45nm-fp32"]
    first = 768 * 4.6e-12
    assert energy.layers["conv1"].nominal == pytest.approx(first, rel=1e-12)
    assert energy.layers["conv1"].high == pytest.approx(T * first, rel=1e-12)


def test_spikes_are_added_with_every_weight_they_reach(ran):
    graph, record = ran
    spikes = record.trains["lif2"].unpack().sum() / B
    energy = estimate(graph, record, ["45nm-fp32"])["45nm-fp32"]
    assert energy.layers["linear"].nominal == pytest.approx(spikes * 2 * 0.9e-12, rel=1e-12)


def test_loihi_pays_operations_updates_and_messages(ran):
    graph, record = ran
    energy = estimate(graph, record, ["loihi1-davies2018"])["loihi1-davies2018"]
    events = record.events
    operations = sum(events[n].fanout.sum() for n in ("conv1", "conv2", "linear")) / B
    spikes = sum(record.spike_counts[n].sum() for n in ("lif1", "lif2")) / B
    updates = (3 * 36 + 4 * 4 + 2) * T
    active = sum(events[n].active.sum() for n in ("lif1", "lif2")) / B + 2 * T
    messages = spikes + 36 * T  # every pixel of the frame, at each step
    expected = operations * 23.6 + active * 81 + (updates - active) * 52 + messages * 1.7
    assert energy.nominal == pytest.approx(expected * 1e-12, rel=1e-12)
    assert energy.low < energy.nominal <= energy.high


def test_static_host_and_total_are_lines_of_their_own_and_take_chips_and_step_time(ran):
    graph, record = ran
    (name,) = models = ["loihi1-davies2018"]
    mute = estimate(graph, record, models)[name]
    assert (mute.static, mute.host, mute.total, mute.sentence) == (None, None, None, None)
    assert mute.incomplete
    assert "--step-time" in mute.notes[-1]
    step = Range(1e-6, 2e-6, 4e-6)
    one = estimate(graph, record, models, modelled={"loihi1": step, "loihi2": exactly(9.0)})[name]
    more = estimate(graph, record, models, chips=3, step_seconds=1e-5, modelled={"loihi1": step})[name]
    assert one.nominal == more.nominal == mute.nominal
    assert (one.step_from, more.step_from) == ("modelled", "given")
    assert one.static.nominal == pytest.approx(0.055 * T * 2e-6)
    assert one.static.low == pytest.approx(0.0295 * T * 1e-6)
    assert one.host.high == pytest.approx(0.0955 * T * 4e-6)
    assert more.static.nominal == pytest.approx(3 * 0.055 * T * 1e-5)
    assert more.total.nominal == pytest.approx(more.nominal + 3 * (0.055 + 0.080) * T * 1e-5)
    assert "Host and I/O dominate" in more.sentence
    assert "at a step of 10 µs (given)" in more.sentence
    assert more.sentence.endswith(find(name).held)


def test_a_name_of_an_earlier_version_is_priced_by_what_stands_in_and_said():
    assert find("loihi2-bracket") is find("loihi2-pilotnet")
    said = replaced("loihi2-bracket")
    assert (said.code, said.severity) == ("SP710", "substituted")
    assert replaced("loihi1-davies2018") is None


def test_every_shipped_model_prices_a_run_in_order(ran):
    graph, record = ran
    for energy in estimate(graph, record, list(shipped())).values():
        assert 0 <= energy.low <= energy.nominal <= energy.high, energy.model
        assert sum(part.nominal for part in energy.breakdown.values()) == pytest.approx(energy.nominal)
        assert sum(part.nominal for part in energy.layers.values()) == pytest.approx(energy.nominal)
        assert energy.source
    assert {name for name, model in shipped().items() if not model.on_request} <= set(estimate(graph, record))
    assert "loihi2-pilotnet" not in estimate(graph, record)
    assert "loihi2-pilotnet" in estimate(graph, record, ["loihi2-bracket"])


def test_the_break_even_rate_makes_both_cost_the_same(ran):
    graph, record = ran
    estimates = estimate(graph, record, ["45nm-fp32"])
    rate = counts(graph, record).rate
    verdict = verdicts(estimates, rate)["45nm-fp32"]
    snn, ann = estimates["45nm-fp32"], estimates["45nm-fp32-ann"]
    at_turn = snn.nominal - snn.by_spikes + snn.by_spikes * verdict.break_even / rate
    assert at_turn == pytest.approx(ann.nominal)
    assert ("the ANN wins" in verdict.sentence) == (snn.nominal >= ann.nominal)


def test_the_verdict_says_so_when_the_ann_wins(ran):
    graph, record = ran
    estimates = estimate(graph, record, ["45nm-fp32"])
    dear = dataclasses.replace(estimates["45nm-fp32"], nominal=estimates["45nm-fp32-ann"].nominal * 2)
    verdict = verdicts({**estimates, "45nm-fp32": dear}, 0.2)["45nm-fp32"]
    assert "the ANN wins: the SNN takes 2 times" in verdict.sentence


def test_a_record_without_events_is_refused(ran):
    graph, record = ran
    with pytest.raises(SpikeportError) as caught:
        estimate(graph, dataclasses.replace(record, events={}))
    assert caught.value.code == "SP704"
