"""Xylo's neurons from their equations: shifts of at least one, currents that decay at once, sums that saturate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, XYLO, CubaLIF, Graph, Input, Linear, Loihi, definition
from spikeport.graph.xylo import SHIFTS
from spikeport.target import Request

EVERYTHING = Request(trains=True, membranes=True)


def one(weight=100, *, timesteps=4, exponent=0, high=15, kind=CubaLIF, **numbers):
    """One neuron behind one weight, whose current and membrane lose half in a step."""
    usual = {"decay": np.asarray(2048), "bias": np.asarray(0), "gain": np.asarray(1)}
    usual |= {"reset": "subtract", "compare": ">=", "most_spikes": 31, "threshold": np.full(timesteps, 32767)}
    usual |= {"current_decay": np.asarray(2048)} if kind is CubaLIF else {}
    nodes = {
        "input": Input((1,), "events", low=0, high=high),
        "fc": Linear(np.array([[weight]]), exponent=exponent),
        "n": kind((1,), **usual | numbers),
    }
    return Graph.chain(nodes, timesteps, arithmetic=Loihi(XYLO))


def membranes(graph, events):
    """After each step, in sums, by every way of computing."""
    x = np.reshape(events, (-1, 1, 1))
    truth = definition.run(graph, x)
    for kernels in ("plain", "fast"):
        record = simulate(graph, x, EVERYTHING, kernels=kernels)
        assert np.array_equal(record.membranes["n"], truth.after["n"])
        assert np.array_equal(record.trains["n"].unpack(), truth.values["n"])
        assert record.overflows.get("n", {}) == truth.overflows.get("n", {})
    return (truth.after["n"].ravel() / 64).tolist(), truth


def test_what_arrives_decays_in_the_same_step():
    """Of 100 half is left, and half of that a step later; the membrane holds half of what it held, and adds it."""
    assert membranes(one(), [1, 0, 0, 0])[0] == [50, 50 - 25 + 25, 50 - 25 + 13, 38 - 19 + 7]


def test_a_decay_takes_one_at_least_towards_zero():
    """5 >> 12 is 0, so that one goes; -5 >> 12 is -1 by itself; nothing goes from zero."""
    slow = {"current_decay": np.asarray(2048), "decay": np.asarray(4095)}
    assert membranes(one(10, **slow), [1, 0, 0, 0])[0] == [5, 5 - 1 + 3, 7 - 1 + 2, 8 - 1 + 1]
    assert membranes(one(-10, **slow), [1, 0, 0, 0])[0] == [-5, -5 + 1 - 2, -6 + 1 - 1, -6 + 1 + 0]


def test_a_neuron_fires_at_its_threshold_as_often_as_it_fits():
    """A sum of 50 meets 25 twice and leaves nothing; of 20 two fit and 10 stay; once a step leaves the rest."""
    for threshold, most, spikes, left in ((25, 31, 2, 0), (20, 31, 2, 10), (20, 1, 1, 30), (51, 31, 0, 50)):
        graph = one(threshold=np.full(4, threshold), most_spikes=most)
        after, truth = membranes(graph, [1, 0, 0, 0])
        assert (truth.values["n"].ravel()[0], after[0]) == (spikes, left)


def test_sums_saturate_at_sixteen_bits_of_twos_complement():
    """15 events of 127 << 7 are 243,840: the current is 32,767, half of it goes; -128 << 7 ends at -32,768."""
    after, truth = membranes(one(127, exponent=7), [15, 15, 0, 0])
    assert truth.currents["n"].ravel()[0] / 64 == 32767 - 16383
    assert after[0] == 16384
    assert truth.overflows["n"]["current saturated"] == 2
    after, truth = membranes(one(-128, exponent=7, decay=np.asarray(4095)), [15, 15, 15, 15])
    assert (truth.currents["n"].ravel() / 64).tolist() == [-16384] * 4
    assert after == [-16384, -32764, -32768, -32768]
    assert truth.overflows["n"]["membrane saturated"] == 2


def test_the_change_of_a_step_saturates_before_it_is_added():
    """-16384 wants to go back by 8192 and gets 32767: the change ends at 32767, not at 40959."""
    graph = one(127, exponent=7, timesteps=2, bias=np.asarray(-16384 * 64), current_decay=np.asarray(SHIFTS[-1]))
    after, truth = membranes(graph, [0, 15])
    held = 32767 - (32767 >> 12)
    assert after == [-16384, -16384 + (32767 - 16384)]
    assert 8192 + held > 32767
    assert truth.overflows["n"]["membrane saturated"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"kind": LIF}, "no synaptic current"), ({"reset": "zero"}, "reset is 'zero'"), ({"compare": ">"}, "fire where")],
)
def test_neurons_that_are_others_are_refused(changes, said):
    with pytest.raises(SpikeportError, match="SP134") as caught:
        one(**changes)
    assert any(said in finding.what for finding in caught.value.findings)


@pytest.mark.parametrize("name", ["decay", "current_decay"])
def test_a_decay_that_is_no_shift_is_refused(name):
    with pytest.raises(SpikeportError, match="no shifts") as caught:
        one(**{name: np.asarray(3000)})
    assert caught.value.code == "SP115"


def test_a_profile_of_other_neurons_says_nothing_of_them():
    """Files that 0.1 wrote name no neuron, and a half-finished run is known by its profile's words."""
    assert "neuron" not in replace(XYLO, neuron="loihi").facts()
    assert "neuron" not in repr(replace(XYLO, neuron="loihi"))
    assert XYLO.facts()["neuron"] == "xylo"
    assert (XYLO.state_top, XYLO.state_least) == (32767 * 64, -32768 * 64)
