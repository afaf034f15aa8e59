"""Brian2Loihi, a third witness: equal to the engine on the profile that shifts each weight and knows no accumulator."""

from __future__ import annotations

from dataclasses import replace

import pytest

import brian2_oracle
from loihi1_graphs import CHIP, apart, jobs
from spikeport.engine import simulate
from spikeport.graph import Loihi
from spikeport.graph.loihi import SATURATED
from spikeport.target import Request

HERE = brian2_oracle.ENVIRONMENT.interpreter()
pytestmark = pytest.mark.skipif(HERE is None, reason="no environment: python tests/brian2_oracle.py makes it")


@pytest.mark.slow
def test_plain_networks_are_the_same_on_brian2loihi(tmp_path):
    free = Loihi(replace(CHIP, name="Brian2Loihi", accumulator_bits=None))
    networks = [(g.with_(arithmetic=free), x) for g, x in jobs(range(0, 90, 3)).values() if brian2_oracle.takes(g)]
    compared = fired = 0
    for (graph, samples), theirs in zip(networks, brian2_oracle.run_all(networks, tmp_path), strict=True):
        ours = simulate(graph, samples, Request(trains=True, membranes=True))
        if any(SATURATED in kinds for kinds in ours.overflows.values()):
            continue  # its membranes are floating-point numbers without a top
        assert apart(theirs, ours) == {}
        compared += 1
        fired += sum(int(counts.sum()) for counts in ours.spike_counts.values())
    assert compared >= 5
    assert fired > 200
