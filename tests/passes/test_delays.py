"""Delays of single weights: the equation itself, every way to run them, and files."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import (
    LIF,
    LOIHI2,
    Conv,
    Delay,
    Flatten,
    Gate,
    Graph,
    Input,
    Linear,
    Loihi,
    Readout,
    Scale,
    Synapse,
    definition,
)
from spikeport.passes.delays import delay_weights
from spikeport.quantisation.post_training import quantize
from spikeport.target import Request, target

T, RNG = 7, np.random.default_rng(0)
ONE = np.asarray(1)


def network(synapse, shape, *, integers=False):
    """Spikes into one synapse and its neurons."""
    out = synapse.output_shape(shape)
    decay, theta = (np.asarray(2048), np.full(T, 40)) if integers else (np.asarray(0.5), np.full(T, 0.7))
    lif = LIF(out, decay, theta, ONE * 0, ONE, reset_value=ONE * 0, compare=">", unit=ONE)
    nodes = {"in": Input(shape, "events", low=0, high=1), "synapse": synapse, "lif": lif}
    nodes |= {"flat": Flatten(), "out": Readout((lif.size,), np.ones(T, int), ONE * 0)}
    return Graph.chain(nodes, T, **({"arithmetic": Loihi(LOIHI2)} if integers else {}))


def spikes(shape):
    return RNG.integers(0, 2, (T, 4, *shape)).astype(np.float32)


@pytest.mark.parametrize("integers", [False, True])
def test_each_weight_takes_the_value_of_as_many_steps_ago(integers):
    draw = (lambda *size: RNG.integers(-60, 61, size)) if integers else (lambda *size: RNG.normal(size=size))
    delays, weight = RNG.integers(0, 4, (3, 5)), draw(3, 5)
    graph = delay_weights(network(Linear(weight), (5,), integers=integers), "synapse", delays)
    x, expected = spikes((5,)), np.zeros((T, 4, 3))
    for t in range(T):
        for o, i in np.ndindex(3, 5):
            expected[t, :, o] += weight[o, i] * x[t - delays[o, i], :, i] if t >= delays[o, i] else 0
    run = definition.run(graph, x)
    sums = sum(run.values[name] for name in graph.nodes_of(Synapse))
    np.testing.assert_allclose(sums, expected, rtol=0, atol=0 if integers else 1e-12)
    record = simulate(graph, x, Request(trains=True, events=True))
    assert np.array_equal(record.trains["lif"].unpack(), run.spikes("lif")) or not integers
    total = sum(record.events[name].synops.sum() for name in graph.nodes_of(Synapse))
    late = sum(int(x[T - d :].sum(axis=(0, 1))[i]) if d else 0 for (_, i), d in np.ndenumerate(delays))
    assert total == x.sum() * 3 - late  # one for each spike and weight; what arrives behind the end does not count


def test_a_convolution_a_bias_and_a_delay_an_input():
    conv = Conv(RNG.normal(size=(2, 3, 3, 3)), np.array([0.2, -0.1]), padding=(1, 1))
    delays = np.array([0, 2, 5]).reshape(3, 1, 1)
    graph = delay_weights(network(conv, (3, 4, 4)), "synapse", delays)
    assert [node.steps for node in graph.nodes_of(Delay).values()] == [2, 5]
    x = spikes((3, 4, 4))
    late = np.stack([np.concatenate([np.zeros((d, 4, 4, 4)), x[:, :, i]])[:T] for i, d in enumerate((0, 2, 5))], axis=2)
    got = definition.run(graph, x)
    plain = definition.run(network(conv, (3, 4, 4)), late)
    np.testing.assert_allclose(got.membranes["lif"], plain.membranes["lif"], atol=1e-12)


def test_quantised_written_and_run_by_others(tmp_path):
    weight, delays = RNG.normal(size=(6, 8)).astype(np.float32), RNG.integers(0, 3, (6, 8))
    graph = delay_weights(network(Linear(weight), (8,)), "synapse", delays)
    x = spikes((8,))
    integers = quantize(graph, x, run=simulate).graph
    truth = definition.run(integers, x).outputs
    for name in ("integer", "onnxruntime"):
        assert np.array_equal(target(name).run(integers, x, Request()).outputs, truth)
    assert not [finding for finding in target("lava").check(integers) if finding.severity == "error"]
    for form, kind in ((nir, "nir"), (onnx, "onnx")):
        form.write(integers, tmp_path / f"a.{kind}")
        assert form.read(tmp_path / f"a.{kind}")[0] == integers


def test_an_operation_gets_their_sum_and_delays_are_whole():
    nodes = {
        "in": Input((2,), "events"),
        "fc": Linear(np.array([[1.0, 2.0], [3.0, 4.0]])),
        "one": Scale(np.asarray(1.0)),
    }
    nodes |= {"gate": Gate(operands=("fc", "one"))}
    edges = (("in", "fc"), ("in", "one"), ("fc", "gate"), ("one", "gate"))
    graph = delay_weights(Graph(nodes, edges, 2), "fc", np.array([0, 1]))
    run = definition.run(graph, np.array([[[1.0, 1.0]], [[1.0, 1.0]]]))
    assert run.values["gate"][:, 0].tolist() == [[1, 3], [3, 7]]
    with pytest.raises(SpikeportError) as caught:
        delay_weights(Graph(nodes, edges, 2), "fc", np.array([0.5, 1]))
    assert caught.value.code == "SP107"
