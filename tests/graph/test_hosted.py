"""Sums that a host forms: of a first layer whose input is no spikes, where messages are spikes only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI1, LOIHI2, Graph, Input, Linear, Loihi, Readout, Real
from spikeport.graph.hosted import by_host, spikes

T = 2


def graph(profile=LOIHI1, *, coding="direct", low=0, high=9, arithmetic=None):
    def lif():
        return LIF((1,), np.asarray(4096), np.full(T, 9), np.asarray(0), compare=">", gain=np.asarray(1))

    nodes = {
        "input": Input((1,), coding, low=low, high=high),
        "first": Linear(np.ones((1, 1), np.int8)),
        "one": lif(),
        "second": Linear(np.ones((1, 1), np.int8)),
        "two": lif(),
        "out": Readout((1,), np.ones(T, np.int64), np.asarray(0)),
    }
    return Graph.chain(nodes, T, arithmetic=arithmetic or Loihi(profile))


@pytest.mark.parametrize(
    ("facts", "host"),
    [
        ({}, True),
        ({"high": 1}, False),
        ({"low": -1, "high": 1}, True),
        ({"coding": "events"}, False),
        ({"profile": replace(LOIHI2, message_bits=8)}, False),
    ],
)
def test_a_host_forms_the_first_sums_of_steady_values_for_a_chip_of_spikes(facts, host):
    assert by_host(graph(**facts), "first") == host
    assert not by_host(graph(**facts), "second")


def test_values_are_spikes_where_they_are_zero_or_one():
    assert [spikes(*ends) for ends in ((0, 1), (0, 0), (-1, 1), (0, 2), (-1, 2))] == [True, True, False, False, False]


def test_numbers_know_whether_they_are_whole():
    assert not Real().whole
    assert Loihi(LOIHI1).whole


@pytest.mark.parametrize(("bits", "value", "fits"), [(4, 8, True), (4, 6, False), (4, 3, False), (6, 3, True)])
def test_a_membrane_is_reset_to_what_it_can_hold(bits, value, fits):
    """With four bits behind the point a membrane's step is 4 of the 64 units of a sum."""
    profile = replace(LOIHI2, fraction_bits=bits)
    node = LIF(
        (1,),
        np.asarray(4096),
        np.full(T, 9),
        np.asarray(0),
        compare=">",
        gain=np.asarray(1),
        reset="value",
        reset_value=np.asarray(value),
    )
    nodes = {"input": Input((1,), low=0, high=1), "fc": Linear(np.ones((1, 1), np.int8)), "lif": node}
    nodes |= {"out": Readout((1,), np.ones(T, np.int64), np.asarray(0))}
    if fits:
        Graph.chain(nodes, T, arithmetic=Loihi(profile))
        return
    with pytest.raises(SpikeportError, match="fraction_bits = 4"):
        Graph.chain(nodes, T, arithmetic=Loihi(profile))
