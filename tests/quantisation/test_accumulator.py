"""What quantisation does for a chip whose sums wrap and whose weights are shifted one by one: Loihi 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize_examples import STEPS, chain, normals, uniform
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI1, Input, Linear, Synapse
from spikeport.graph.accumulators import beyond
from spikeport.graph.hosted import by_host
from spikeport.graph.shifts import shift_each
from spikeport.quantisation import quantize

CONSTANT = np.full(STEPS, 1.0, np.float32)
UNLIMITED = replace(LOIHI1, name="unlimited", accumulator_bits=None)


def spiking(weight, threshold=CONSTANT):
    """Binary input into one layer of neurons, and a readout."""
    n, inputs = weight.shape
    lif = LIF((n,), np.float32(0.5), threshold)
    return chain(input=Input((inputs,)), fc=Linear(np.asarray(weight, np.float32)), lif=lif, out=uniform(n))


def quantised(graph, x, profile):
    return quantize(graph, x, profile, run=simulate, steps=[])


def test_no_input_can_make_a_quantised_sum_wrap():
    """600 weights of one size: 127 x 600 is 76,200, more than the 32,767 of 22 bits, six of them behind the point."""
    graph = spiking(np.full((2, 600), 0.01))
    x = (np.random.default_rng(0).random((40, 600)) < 0.1).astype(np.float32)
    free, kept = (quantised(graph, x, profile) for profile in (UNLIMITED, LOIHI1))
    assert np.abs(free.graph["fc"].weight.astype(int)).sum(1).max() > 2**15
    assert np.abs(kept.graph["fc"].weight.astype(int)).sum(1).max() < 2**15
    assert beyond(kept.graph) == {}
    assert "SP123" not in {finding.code for finding in kept.findings}
    assert simulate(kept.graph, np.ones((1, 600))).overflows == {}
    np.testing.assert_array_equal(simulate(kept.graph, x).outputs > 0, simulate(graph, x).outputs > 0)


def test_no_weight_loses_bits_by_a_shift_of_its_own():
    """Coarse thresholds ask for an exponent below zero; each weight would lose its low bits, so they round once."""
    rng = np.random.default_rng(1)
    graph = spiking(rng.normal(0, 0.02, (8, 30)), np.full(STEPS, 0.02, np.float32))
    x = (rng.random((40, 30)) < 0.3).astype(np.float32)
    for profile in (LOIHI1, UNLIMITED):
        exponents = [node.exponent for node in quantised(graph, x, profile).graph.nodes_of(Synapse).values()]
        assert min(exponents) >= 0


def test_a_second_synapse_that_is_finer_says_which_bits_it_gives_up():
    nodes = spiking(normals(0)(8, 8))
    fine = Linear(np.asarray(nodes["fc"].weight) / 1000)
    graph = nodes.with_(nodes={**nodes.nodes, "fine": fine}, edges=(*nodes.edges, ("input", "fine"), ("fine", "lif")))
    x = (np.random.default_rng(2).random((40, 8)) < 0.5).astype(np.float32)
    findings = [finding for finding in quantised(graph, x, LOIHI1).findings if finding.code == "SP429"]
    assert [finding.where for finding in findings] == ["node 'fine'"]


def test_a_host_shifts_the_sum_of_an_analog_first_layer():
    """Grey values up to 255 are no messages: a negative exponent shifts their sum, mantissas keep their low bits."""
    rng = np.random.default_rng(3)
    graph = spiking(rng.normal(0, 0.0005, (8, 300)))
    x = rng.integers(0, 256, (40, 300)).astype(np.float32)
    integers = quantised(graph, x, LOIHI1).graph
    exponent = integers["fc"].exponent
    assert exponent < 0
    assert np.abs(integers["fc"].weight.astype(int)).max() > 127 * 2.0**exponent  # what weights of their own would have
    assert by_host(integers, "fc")
    assert shift_each(integers)["fc"] == integers["fc"]
    assert beyond(integers) == {}
