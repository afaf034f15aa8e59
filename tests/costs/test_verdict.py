"""Who wins, and at which firing rate it turns, for estimates whose numbers are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.costs import Estimate, verdicts
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.verbs.energy import energy


def estimate(low, nominal, high, by_spikes=0.0):
    return Estimate("m", "snn", "m", low, nominal, high, "hand", "assumed", {}, {}, {}, by_spikes)


def verdict(snn, ann, rate=0.2):
    return verdicts({"m": estimate(*snn), "m-ann": estimate(*ann)}, rate)["m"]


CASES = [  # SNN (low, nominal, high, by spikes), ANN, break-even, what is said
    ((4, 4, 4, 2), (8, 8, 8), 0.6, "the SNN wins: it takes 0.5 of the ANN's energy. Both cost the same at"),  # 2 + 30 r
    ((8, 8, 8, 6), (4, 4, 4), 0.2 / 3, "the ANN wins: the SNN takes 2 times its energy. Both cost the same at"),
    ((4, 4, 4, 2), (4, 4, 4), 0.2, "SNN and ANN cost the same. Both cost the same at a firing rate of 20.00%"),
    ((4, 4, 4, 0.1), (8, 8, 8), 8.2, "The SNN would win even if every neuron fired at every step"),
    ((9, 9, 9, 1), (8, 8, 8), None, "No firing rate breaks even: what does not depend on spikes costs no less than"),
    ((4, 4, 4, 0), (8, 8, 8), None, "the SNN wins: it takes 0.5 of the ANN's energy. What it costs does not depend"),
    ((2, 4, 9, 2), (8, 8, 8), 0.6, "though the range of the estimate holds the other outcome too"),
]


@pytest.mark.parametrize(("snn", "ann", "turn", "says"), CASES)
def test_the_sentence_and_the_rate_at_which_it_turns(snn, ann, turn, says):
    result = verdict(snn, ann)
    assert result.break_even == (None if turn is None else pytest.approx(turn))
    assert says in result.sentence
    assert "counted: 20.00%" in result.sentence
    assert "measured" not in result.sentence


def test_a_silent_network_wins_nothing_and_is_found():
    """Weights of 0: nothing fires, whatever enters."""
    lif = LIF((2,), np.float32(0.5), np.ones(2, np.float32))
    nodes = {"input": Input((2,)), "a": Linear(np.zeros((2, 2), np.float32)), "lif": lif}
    nodes |= {"b": Linear(np.ones((2, 2), np.float32)), "out": Readout((2,), np.ones(2, np.float32))}
    costs = energy(Graph.chain(nodes, 2), samples=np.ones((1, 2), np.float32))
    assert costs.rate == 0
    assert [finding.code for finding in costs.findings] == ["SP711"]
    for said in costs.verdicts.values():
        assert "there is no verdict: nothing fires" in said.sentence
        assert "wins" not in said.sentence
