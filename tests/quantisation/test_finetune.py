"""Fine-tuning computes the very integers that are deployed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantize_examples import EXAMPLES, convolutional, images, recurrent, spikes, vectors
from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LOIHI2, Conv, Linear
from spikeport.quantisation import quantize
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
