"""Lava's fixed-point models compute what the integer engine computes: every spike, every membrane, every output."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Flatten, Graph, Input, Linear, Loihi, Pool, Readout
from spikeport.target import Request
from spikeport_targets.lava import Lava
from spikeport_targets.lava.target import run_all

pytestmark = [pytest.mark.lava, pytest.mark.skipif(not Lava().availability().ready, reason=Lava().availability().why)]
EVERYTHING = Request(trains=True, membranes=True)


def mismatches(graph, samples):
    """Spikes, membranes and outputs that differ, and how many spikes there were to compare."""
    lava, engine = Lava().run(graph, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
    spikes = sum(int((lava.trains[n].unpack() != engine.trains[n].unpack()).sum()) for n in engine.trains)
    membranes = sum(int((lava.membranes[n] != engine.membranes[n]).sum()) for n in engine.membranes)
    outputs = int((lava.outputs != engine.outputs).sum())
    assert {n: c.tolist() for n, c in lava.spike_counts.items()} == {
        n: c.tolist() for n, c in engine.spike_counts.items()
    }
    return spikes, membranes, outputs, sum(int(c.sum()) for c in engine.spike_counts.values())


def test_a_convolutional_network_with_scheduled_thresholds_is_the_same_network_on_lava():
    rng = np.random.default_rng(3)
    steps = 4

    def neurons(shape, thresholds, bias=0):
        decay, bias = np.asarray(rng.integers(2000, 4097)), np.asarray(bias)
        return LIF(shape, decay=decay, threshold=thresholds, bias=bias, compare=">")

    def weights(*shape):
        return rng.integers(-60, 60, shape).astype(np.int8)

    nodes = {
        "input": Input((1, 8, 8), unit=np.asarray(1 / 15), low=0, high=15),
        "conv1": Conv(weights(6, 1, 3, 3), padding=(1, 1)),
        "lif1": neurons((6, 8, 8), rng.integers(300, 1500, steps)),
        "pool1": Pool("sum", (2, 2), (2, 2)),
        "conv2": Conv(weights(8, 6, 3, 3), padding=(1, 1), exponent=-1),
        "lif2": neurons((8, 4, 4), rng.integers(20, 200, (steps, 8)), bias=rng.integers(-4000, 4000, 8)),
        "flatten": Flatten(),
        "fc": Linear(weights(20, 128)),
        "lif3": neurons((20,), np.full(steps, 100)),
        "fc2": Linear(weights(10, 20)),
        "out": Readout((10,), np.ones(steps, int)),
    }
    graph = Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2))
    spikes, membranes, outputs, fired = mismatches(graph, rng.random((8, 1, 8, 8)))
    assert (spikes, membranes, outputs) == (0, 0, 0)
    assert fired > 500


@pytest.mark.parametrize(("channels", "outputs", "size"), [(130, 5, (3, 4)), (3, 200, (4, 3)), (2, 3, (3, 140))])
def test_more_than_127_channels_rows_or_columns_run_in_lavas_own_convolution(channels, outputs, size):
    rng = np.random.default_rng(5)
    conv = Conv(rng.integers(-60, 60, (outputs, channels, 3, 3)).astype(np.int8), padding=(1, 1))
    shape = (outputs, *size)
    threshold = np.full(3, int(60 * channels**0.5))  # about one standard deviation of a sum
    lif = LIF(shape, np.asarray(2048), threshold, reset="zero", compare=">")
    nodes = {"input": Input((channels, *size), "events", low=0, high=1), "conv": conv, "lif": lif}
    graph = Graph.chain(nodes, 3, arithmetic=Loihi(LOIHI2))
    assert all(finding.code != "SP602" for finding in Lava().check(graph))  # nothing of ours
    spikes, membranes, outputs, fired = mismatches(graph, (rng.random((3, 2, channels, *size)) < 0.4).astype(float))
    assert (spikes, membranes, outputs) == (0, 0, 0)
    assert fired > 10


def test_a_current_that_lavas_own_neuron_wraps_is_announced():
    """Sums of 100,000 stay within Lava's 2**17; kept for three steps at a decay of 4000/4096 they do not."""
    lif = CubaLIF((1,), np.asarray(2048), np.full(3, 100_000), compare=">", current_decay=np.asarray(4000))
    nodes = {"input": Input((8,), "events", low=0, high=100), "fc": Linear(np.full((1, 8), 125, np.int8)), "lif": lif}
    graph, samples = Graph.chain(nodes, 3, arithmetic=Loihi(LOIHI2)), np.full((3, 1, 8), 100.0)
    lava, engine = Lava().run(graph, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
    assert engine.overflows["lif"]["sum beyond 24 bits"] > 0
    assert (lava.membranes["lif"] != engine.membranes["lif"]).any()
    assert [finding.where for finding in lava.findings if finding.code == "SP624"] == ["node 'lif'"]
    shorter = graph.replace({"lif": lif.with_(current_decay=np.asarray(0))})
    assert "SP624" not in {finding.code for finding in Lava().run(shorter, samples, EVERYTHING).findings}


def at_the_edge(sign, beyond, thresholds):
    """Sums of exactly sign * 2**17, or one more or less: shifted by 6 bits they are where 24 bits end."""
    weight = np.asarray([[64 * sign] * 16 + [sign if beyond > 0 else -sign]], np.int8)
    nodes = {
        "input": Input((17,), "events", low=0, high=128),
        "fc": Linear(weight),
        "lif": LIF((1,), np.asarray(4096), np.asarray(thresholds), compare=">"),
    }
    samples = np.zeros((2, 1, 17))
    samples[0, 0] = [128] * 16 + [abs(beyond)]
    return Graph.chain(nodes, 2, arithmetic=Loihi(LOIHI2)), samples


def test_a_sum_is_counted_where_lava_wraps_it_and_nowhere_else():
    """24 bits keep 2**23 and turn -2**23 into it (Lava 0.10, proc/lif): there two runs may part, and both say so."""
    edges = [(sign, beyond, thresholds) for thresholds in ((5, 5), (5, 6)) for sign in (1, -1) for beyond in (-1, 0, 1)]
    jobs = [at_the_edge(*edge) for edge in edges]
    for (sign, beyond, thresholds), (graph, samples), lava in zip(edges, jobs, run_all(jobs, EVERYTHING), strict=True):
        engine = simulate(graph, samples, EVERYTHING)
        wraps = beyond > 0 or (sign < 0 and beyond == 0)
        counted = [record.overflows.get("lif", {}).get("sum beyond 24 bits", 0) for record in (engine, lava)]
        assert counted[0] == wraps
        assert (lava.membranes["lif"] != engine.membranes["lif"]).any() == wraps
        if thresholds == (5, 6):  # our process counts, Lava's own is announced
            assert counted[1] == wraps
        else:
            assert "SP624" in {finding.code for finding in lava.findings}


def test_named_layers_alone_bring_back_spikes_and_membranes():
    graph, samples = at_the_edge(1, -1, (5, 6))
    layers = {
        "fc2": Linear(np.asarray([[3]], np.int8)),
        "lif2": LIF((1,), np.asarray(4096), np.full(2, 1), compare=">"),
    }
    graph = Graph.chain({**graph.nodes, **layers}, 2, arithmetic=Loihi(LOIHI2))
    whole = Lava().run(graph, samples, EVERYTHING)
    part = Lava().run(graph, samples, Request(trains=("lif2",), membranes=("lif",)))
    assert (set(part.trains), set(part.membranes)) == ({"lif2"}, {"lif"})
    np.testing.assert_array_equal(part.trains["lif2"].bits, whole.trains["lif2"].bits)
    np.testing.assert_array_equal(part.membranes["lif"], whole.membranes["lif"])
    np.testing.assert_array_equal(part.outputs, whole.outputs)
