"""Gains and biases a timestep in integers: exact for powers of two, refused with a bound for others."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Norm, Pool, Readout, StepAffine, definition
from spikeport.quantisation import prepare, quantize
from spikeport.target import Request

T, RNG = 4, np.random.default_rng(0)
POWERS = np.array([1, 2, 0.5, 4])


def network(gain, bias, *, pool=False):
    """conv -> norm -> gain and bias a timestep -> neurons: TEBN's order; a second layer and a readout behind."""
    f4 = np.float32
    nodes = {
        "in": Input((1, 8, 8)),
        "conv": Conv(RNG.normal(size=(4, 1, 3, 3)).astype(f4), padding=(1, 1)),
        "norm": Norm(*(RNG.normal(size=4).astype(f4) for _ in range(3)), np.full(4, 2, f4)),
        "step": StepAffine(np.asarray(gain, f4), np.asarray(bias, f4)),
    }
    nodes |= {"pool": Pool("average", (2, 2), (2, 2))} if pool else {}
    size = 4 if pool else 8
    lifs = [LIF(shape, f4(0.5), np.full(T, 0.8, f4)) for shape in ((4, size, size), (20,))]
    nodes |= {"lif": lifs[0], "flat": Flatten()}
    nodes |= {"fc": Linear((RNG.normal(size=(20, 4 * size * size)) / size).astype(f4)), "lif2": lifs[1]}
    nodes |= {"head": Linear(RNG.normal(size=(3, 20)).astype(f4)), "out": Readout((3,), np.full(T, 0.25, f4))}
    return Graph.chain(nodes, T)


@pytest.mark.parametrize(
    ("gain", "bias", "pool", "whole"),
    [
        (0.37 * POWERS, np.zeros(T), False, [2, 4, 1, 8]),
        (np.ones(T), RNG.normal(size=(T, 4)), False, [1] * T),
        (np.stack([0.37 * POWERS, -3 * POWERS, 0 * POWERS, POWERS], 1), RNG.normal(size=T), True, None),
    ],
)
def test_powers_of_two_and_biases_a_timestep_stay_what_they_are(gain, bias, pool, whole):
    graph, x = network(gain, bias, pool=pool), RNG.random((60, 1, 8, 8), np.float32)
    real = prepare(graph)
    assert np.array_equal(real["step"].gain, np.rint(real["step"].gain))
    assert whole is None or real["step"].gain.tolist() == whole
    np.testing.assert_allclose(simulate(real, x).outputs, simulate(graph, x).outputs, atol=1e-4)
    quantised = quantize(graph, x, run=simulate)
    step, lif = quantised.graph["step"], quantised.graph["lif"]
    assert np.array_equal(step.gain, real["step"].gain)
    unit = np.broadcast_to(lif.unit * 64, 4).reshape(1, 4, 1)
    given, got = (np.broadcast_to(each.bias.reshape(T, -1, 1), (T, 4, 1)) for each in (real["step"], step))
    assert np.abs(got - given / unit).max() <= 0.5 + 1e-6  # a norm's constants are in it, a channel
    record = simulate(quantised.graph, x, Request(trains=True))
    assert np.array_equal(record.outputs, definition.run(quantised.graph, x).outputs)
    trained = simulate(graph, x, Request(trains=True))
    differ = np.mean(record.trains["lif"].unpack() != trained.trains["lif"].unpack())
    assert differ < 0.02
    assert np.mean(record.outputs.argmax(1) == trained.outputs.argmax(1)) >= 0.9


def test_gains_in_no_whole_multiples_are_refused_with_how_far_off_powers_of_two_would_be():
    """3 : 2 is 1.5; the nearest power of two, 2, is a third more."""
    with pytest.raises(SpikeportError) as caught:
        prepare(network([1, 1.5, 2, 4], np.zeros(T)))
    assert caught.value.code == "SP435"
    assert "up to 33 %" in caught.value.findings[0].what
    assert caught.value.findings[0].where == "node 'step'"


def test_a_gain_a_timestep_of_spikes_is_refused():
    graph = network(np.ones(T), np.ones(T))
    nodes = {**graph.nodes, "late": StepAffine(np.ones(T, np.float32), np.ones(T, np.float32))}
    edges = [edge for edge in graph.edges if edge != ("flat", "fc")]
    graph = graph.with_(nodes=nodes, edges=(*edges, ("flat", "late"), ("late", "fc")))
    with pytest.raises(SpikeportError) as caught:
        quantize(graph, RNG.random((8, 1, 8, 8)), run=simulate)
    assert caught.value.code == "SP405"
