"""At the first divergence the tool says how near its threshold each neuron was, by its own equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.comparison import Side, first_divergence, with_moments
from spikeport.comparison.moment import moment as moment_of
from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout, Real
from spikeport.target import Request

T = 4
TRAINS = Request(trains=True)


def network(reset="subtract", bias=0.0):
    rng = np.random.default_rng(4)
    first = LIF((8,), np.asarray(0.7), np.linspace(1, 0.6, T), np.asarray(bias), reset=reset)
    nodes = {
        "input": Input((5,)),
        "fc": Linear(rng.normal(0.2, 0.5, (8, 5))),
        "one": first,
        "next": Linear(rng.normal(0.2, 0.6, (6, 8))),
        "two": LIF((6,), np.asarray(0.5), np.full(T, 0.8), reset=reset),
        "out": Readout((6,), np.full(T, 1 / T)),
    }
    return Graph.chain(nodes, timesteps=T, arithmetic=Real("float64"))


def integers(threshold):
    """Whole weights, and a threshold that one neuron passes at t = 1 if it is 20 and misses if it is 30."""
    nodes = {
        "input": Input((1,), low=0, high=255),
        "fc": Linear(np.array([[3]], np.int8)),
        "one": LIF(
            (1,),
            np.int32(2048),
            np.full(T, threshold, np.int32),
            np.int32(5),
            compare=">",
            gain=np.int32(1),
            reset_value=np.int32(0),
            unit=np.asarray(0.25),
        ),
        "out": Readout((1,), np.ones(T, np.int32), np.int32(0)),
    }
    return Graph.chain(nodes, timesteps=T, arithmetic=Loihi(LOIHI2))


X = np.random.default_rng(2).random((20, 5))


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_the_margin_is_that_of_the_exact_membrane(reset):
    a, b = network(reset), network(reset, bias=0.05)
    records = [simulate(graph, X, TRAINS) for graph in (a, b)]
    place = with_moments(first_divergence(*records), Side(a, simulate), Side(b, simulate), X)
    at = (place.t, place.sample, *place.neuron)
    for graph, record, moment, fires in zip(
        (a, b), records, (place.a, place.b), (place.a_fires, place.b_fires), strict=True
    ):
        exact = margins(graph, X, record)[place.layer].distance[at]  # judged another way: from the record's spikes
        assert moment.margin == pytest.approx(exact, abs=1e-12)
        assert moment.margin == pytest.approx(moment.membrane - moment.threshold)
        assert moment.threshold == graph[place.layer].threshold[place.t]
        assert (moment.margin >= 0) == fires


def test_integers_are_told_in_real_units():
    a, b = integers(20), integers(30)
    x = np.array([[5]])
    place = with_moments(
        first_divergence(*(simulate(g, x, TRAINS) for g in (a, b))), Side(a, simulate), Side(b, simulate), x
    )
    first = 5 * 3 * 64 + 5  # u[0] = (x << 6) + bias, below both thresholds
    second = first * 2048 // 4096 + first
    assert (place.t, place.a_fires, place.b_fires) == (1, True, False)
    assert place.a.membrane == place.b.membrane == second * 0.25
    assert (place.a.threshold, place.b.threshold) == (20 * 64 * 0.25, 30 * 64 * 0.25)
    assert place.a.margin == (second - 20 * 64) * 0.25
    assert place.b.margin == (second - 30 * 64) * 0.25
    assert f"margin {place.b.margin:+.3g}" in str(place)


def test_a_side_without_a_network_has_no_moment():
    a, b = network(), network(bias=0.05)
    place = with_moments(first_divergence(*(simulate(g, X, TRAINS) for g in (a, b))), None, Side(b, simulate), X)
    assert place.a is None
    assert place.b is not None


def test_a_neuron_that_the_layer_of_a_network_has_not_has_no_moment():
    """As where the other run names a neuron of another shape."""
    graph = network()
    place = first_divergence(*(simulate(g, X, TRAINS) for g in (graph, network(bias=0.05))))
    side = Side(graph, simulate)
    assert moment_of(side, place, X[:1]) is not None
    assert moment_of(side, replace(place, neuron=(0, 0)), X[:1]) is None
    assert moment_of(side, replace(place, layer="fc"), X[:1]) is None
