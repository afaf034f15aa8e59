"""Fine-tuning computes the very integers that are deployed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantize_examples import EXAMPLES, convolutional, images, recurrent, spikes, vectors
from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.engine.lengths import to_ends
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, Graph, Input, Linear, Readout, Samples
from spikeport.quantisation import quantize
from spikeport.target import Request
from spikeport.training.finetune import fine_tune
from spikeport.training.integers import IntegerNet


def same_as_engine(net, graph, samples):
    with torch.no_grad():
        output, fired = net.run(torch.as_tensor(np.asarray(samples, dtype=np.float32)))
    truth, record = spikes(graph, samples)
    for name, train in truth.items():
        assert np.array_equal(fired[name].numpy().astype(bool), train), name
    return output.numpy(), record


@pytest.mark.parametrize("seed", range(25))
def test_the_forward_pass_is_the_engine_for_every_node_and_option(seed):
    graph, samples = random_graph(seed, integers=True, batch=3, feed_back=False)
    net = IntegerNet(graph)
    same_as_engine(net, graph, samples)
    assert net.graph() == graph


@pytest.mark.parametrize("name", ["convolutional", "residual", "filtered"])
def test_after_training_no_spike_of_the_trained_forward_differs_from_the_engine(name):
    build, draw = EXAMPLES[name]
    graph, samples = build(), draw()
    labels = simulate(graph, samples).outputs.argmax(1)
    quantised = quantize(graph, samples, weight_bits=4, run=simulate)
    net = IntegerNet(quantised.graph, quantised.plan.before_rounding())
    optimiser = torch.optim.Adam(net.groups(0.05, 0.01))
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(net(torch.as_tensor(samples)), torch.as_tensor(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    trained = net.graph()
    assert trained != quantised.graph
    output, record = same_as_engine(net, trained, samples)
    assert np.allclose(output, record.outputs * trained["out"].unit, rtol=1e-6)
    for node in trained.nodes_of(Conv, Linear).values():
        assert node.weight.min() >= -8
        assert node.weight.max() <= 7


def quadrants(n=160):
    """Noise with one brighter quadrant: the label."""
    labels = np.arange(n) % 4
    samples = images(n) / 2
    for sample, label in zip(samples, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        sample[0, row : row + 4, column : column + 4] += 0.5
    return samples, labels


def test_fine_tuning_learns_at_three_bits():
    samples, labels = quadrants()
    quantised = quantize(convolutional(), samples, weight_bits=3, run=simulate)
    tuned = fine_tune(quantised, samples, labels, epochs=12, batch=16, rate=0.02)
    assert simulate(quantised.graph, samples).accuracy(labels) < 0.6
    assert simulate(tuned.graph, samples).accuracy(labels) > 0.9
    assert tuned.losses[-1] < tuned.losses[0]


def test_it_is_deterministic():
    samples = images(32)
    labels = np.arange(32) % 10
    quantised = quantize(convolutional(), samples, weight_bits=3, run=simulate)
    first, second = (fine_tune(quantised, samples, labels, epochs=2, batch=8, seed=3) for _ in range(2))
    assert first.graph == second.graph
    assert first.losses == second.losses


def test_the_surrogate_gradient_is_that_of_the_equations():
    """One neuron, decay d, no spike at t = 0: ds[1]/dx[0] = d / 4096 * 64 / theta, and ds[1]/dx[1] = 64 / theta."""
    quantised = quantize(recurrentless(), vectors(), run=simulate)
    node = quantised.graph["lif"]
    from spikeport.training.integer_neurons import fire

    theta = node.threshold[:, 0].astype(np.float64) * 64
    x = torch.zeros(4, 1, *node.shape)
    x[0, 0, 0], x[1, 0, 0] = 0.6 * theta[0] // 64, 0.6 * theta[1] // 64
    x.requires_grad_()
    fired = fire(node, x, torch.zeros(()), LOIHI2)
    assert fired[:2, 0, 0].tolist() == [0.0, 0.0]
    fired[1, 0, 0].backward()
    decay = float(node.decay) / 4096
    assert x.grad[1, 0, 0].item() == pytest.approx(64 / theta[1], rel=1e-5)
    assert x.grad[0, 0, 0].item() == pytest.approx(64 / theta[1] * decay, rel=1e-5)


def recurrentless():
    graph = recurrent()
    nodes = {name: node for name, node in graph.nodes.items() if name not in ("past", "back")}
    edges = tuple(edge for edge in graph.edges if not {"past", "back"} & set(edge))
    nodes["lif"] = nodes["lif"].with_(decay=np.float32(0.25))
    return graph.with_(nodes=nodes, edges=edges)


def test_what_cannot_be_fine_tuned_is_refused():
    samples = vectors()
    quantised = quantize(recurrent(), samples, run=simulate)
    for graph in (quantised, quantize(convolutional(), images(), run=simulate)):
        x = samples if graph is quantised else images()
        with pytest.raises(SpikeportError) as caught:
            fine_tune(graph, x, np.zeros(len(x), int), epochs=1 if graph is quantised else 0)
        assert caught.value.code == "SP430"


def padded(n=24):
    """Frames of a network with a threshold and a readout weight a step, and samples of 1 to 5 steps, zeros behind."""
    rng = np.random.default_rng(3)
    lif = LIF((12,), np.float32(0.75), np.linspace(0.3, 0.6, 5, dtype=np.float32))
    graph = Graph.chain(
        {
            "input": Input((8,), "events"),
            "fc": Linear(rng.normal(0, 0.5, (12, 8)).astype(np.float32)),
            "lif": lif,
            "last": Linear(rng.normal(0, 0.5, (4, 12)).astype(np.float32)),
            "out": Readout((4,), np.float32([0.1, 0.2, 0.3, 0.4, 0.5]), bias=np.float32([0.1, 0, -0.1, 0.2])),
        },
        timesteps=5,
    )
    x, lengths = rng.random((5, n, 8), dtype=np.float32), 1 + np.arange(n) % 5
    x[np.arange(5)[:, None] >= lengths] = 0
    return graph, Samples(x, "events", lengths=lengths)


def test_samples_that_end_early_are_read_out_at_their_own_ends():
    """Bit by bit what the engine gives of each sample cut to its own length."""
    graph, samples = padded()
    run = to_ends(simulate, samples.lengths)
    whole = quantize(graph, samples, weight_bits=4, run=run).graph
    net = IntegerNet(whole)
    with torch.no_grad():
        ours = net(torch.as_tensor(samples.array), torch.as_tensor(samples.lengths)).numpy()
    theirs = run(whole, samples.array, Request()).outputs
    np.testing.assert_array_equal(ours, (theirs * float(whole["out"].unit)).astype(np.float32))
    counted = whole.with_(
        nodes={name: node for name, node in whole.nodes.items() if name not in ("last", "out")},
        edges=[edge for edge in whole.edges if "last" not in edge],
    )
    with torch.no_grad():
        spikes = IntegerNet(counted)(torch.as_tensor(samples.array), torch.as_tensor(samples.lengths)).numpy()
    np.testing.assert_array_equal(spikes, run(counted, samples.array, Request()).outputs)
    assert spikes.any()


def test_fine_tuning_takes_samples_of_unequal_length():
    graph, samples = padded(120)
    run = to_ends(simulate, samples.lengths)
    labels = run(graph, samples.array, Request()).outputs.argmax(1)
    quantised = quantize(graph, samples, weight_bits=2, run=run)
    tuned = fine_tune(quantised, samples, labels, epochs=15, batch=20, rate=0.02)
    before, after = (run(each, samples.array, Request()).accuracy(labels) for each in (quantised.graph, tuned.graph))
    assert after > before + 0.05
    assert tuned.accuracies[-1] == pytest.approx(after, abs=0.1)
