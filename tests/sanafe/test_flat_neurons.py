"""Neurons behind a Flatten of a convolution: mapped as the convolution's space, beside another synapse refused."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.costs import estimate
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Readout
from spikeport.mapping import Mapping, find, traffic
from spikeport.mapping.fit import fit
from spikeport.mapping.latency import depth
from spikeport.target import Request
from spikeport_targets.sanafe import SanaFe
from spikeport_targets.sanafe.replay import replay

T, B = 3, 2

needs_sanafe = pytest.mark.skipif(not SanaFe().availability().ready, reason=SanaFe().availability().why)


def weights(*shape):
    return np.random.default_rng(len(shape)).integers(-20, 45, shape).astype(np.int8)


def lif(*shape):
    return LIF(shape, decay=np.int64(2048), threshold=np.asarray([150, 120, 170]), compare=">", bias=np.int64(0))


def network(*, flat):
    """[2, 5, 5] to [3, 3, 3], whose neurons stand in front of a Flatten or behind it."""
    neurons = {"flat": Flatten(), "lif": lif(27)} if flat else {"lif": lif(3, 3, 3), "flat": Flatten()}
    nodes = {"input": Input((2, 5, 5), "events"), "conv": Conv(weights(3, 2, 3, 3)), **neurons}
    last = {"last": Linear(weights(3, 27)), "out": Readout((3,), np.ones(T, np.int64))}
    return Graph.chain(nodes | last, T, arithmetic=Loihi(LOIHI2))


def mixed():
    """A convolution of two outputs and a matrix, added flat."""
    nodes = {
        "input": Input((2, 3, 3), "events"),
        "conv": Conv(weights(2, 2, 3, 3)),
        "flat": Flatten(),
        "all": Flatten(),
        "dense": Linear(weights(2, 18)),
        "lif": lif(2),
    }
    edges = [("input", "conv"), ("conv", "flat"), ("flat", "lif"), ("input", "all"), ("all", "dense"), ("dense", "lif")]
    return Graph(nodes, tuple(edges), T, arithmetic=Loihi(LOIHI2))


def small_chip():
    """Cores of four neurons: each layer is cut, and messages take hops."""
    chip = find("loihi1")
    limits = dict(chip.limits) | {"neurons": chip.limits["neurons"].model_copy(update={"value": 4})}
    return chip.model_copy(update={"limits": limits})


def costs(graph, samples):
    record = simulate(graph, samples, Request(trains=True, events=True))
    mapping = Mapping(graph, fit(graph, small_chip()))
    sent = traffic(mapping, record, samples)
    model = estimate(graph, record, ["loihi1-sanafe2025"], traffic=sent, drain=depth(mapping.fit))["loihi1-sanafe2025"]
    return mapping, record, model


def samples():
    return (np.random.default_rng(5).random((T, B, 2, 5, 5)) < 0.4).astype(np.float32)


def test_a_flatten_before_the_neurons_changes_no_cost():
    """The same neurons under the same synapses: only where the reshape stands differs."""
    before, behind = costs(network(flat=True), samples()), costs(network(flat=False), samples())
    np.testing.assert_array_equal(before[1].outputs, behind[1].outputs)
    assert before[0].fit.layers["lif"].tile.cores == behind[0].fit.layers["lif"].tile.cores > 1
    assert before[2].breakdown == behind[2].breakdown


@needs_sanafe
def test_sana_fe_fires_and_charges_as_ours():
    graph, x = network(flat=True), samples()
    mapping, ours, modelled = costs(graph, x)
    theirs = SanaFe().run(graph, x, Request(trains=True))
    assert 0 < ours.spike_counts["lif"].sum() < T * B * 27
    np.testing.assert_array_equal(theirs.trains["lif"].unpack(), ours.trains["lif"].unpack())
    assert modelled.nominal * B == pytest.approx(replay(mapping, x, ours).energy["total"], rel=1e-9)


def test_two_kinds_of_synapse_behind_a_flatten_are_refused():
    (finding,) = SanaFe().check(mixed())
    assert (finding.code, finding.where) == ("SP722", "node 'lif'")
    assert "(2, 1, 1) and (2,)" in finding.what or "(2,) and (2, 1, 1)" in finding.what
