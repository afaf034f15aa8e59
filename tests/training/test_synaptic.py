"""Neurons with a current that fire several times a step: their equations, their slopes, and the node they become."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import CubaLIF
from spikeport.target import Request
from spikeport.tracing import capture
from spikeport.training.catalogue import method
from spikeport.training.networks import Task
from spikeport.training.synaptic import Synaptic
from spikeport_models.networks.synaptic import synaptic

T = 5


def neurons(channels=1, threshold=1.0, **options):
    return Synaptic(method("fixed", threshold=threshold), T, channels=channels, **options)


def test_what_arrives_decays_at_once_and_each_spike_takes_a_threshold():
    """x = 8 once: currents of 4, 2, 1, ...; the membrane keeps half. 4 fires four times and leaves 0, 2 twice, 1 once.

    Neurons that fire once keep the rest: 4, then 3 / 2 + 2, 2.5 / 2 + 1, 1.25 / 2 + 0.5, 0.125 / 2 + 0.25.
    """
    x = torch.zeros(T, 1, 1)
    x[0] = 8
    cells = neurons(decay=0.5, current=0.5, recurrent=False)
    assert cells(x).ravel().tolist() == [4, 2, 1, 0, 0]
    assert cells.membranes(x)[1].ravel().tolist() == [4, 2, 1, 0.5, 0.5]
    once = neurons(decay=0.5, current=0.5, recurrent=False, most=1)
    assert once(x).ravel().tolist() == [1, 1, 1, 1, 0]


def test_spikes_come_back_a_step_later():
    cells = neurons(decay=0.5, current=0.5)
    with torch.no_grad():
        cells.feedback.weight.fill_(2.0)
    x = torch.zeros(T, 1, 1)
    x[0] = 2
    assert cells(x).ravel().tolist()[:2] == [1, 1]  # 1; then (1 + 2) / 2 = 1.5, of which 0.5 stays
    assert neurons(recurrent=False).feedback is None


def test_the_slope_is_that_of_the_nearest_threshold():
    """Rectangular, width 1: one wherever the membrane is between half a threshold and half beyond the last."""
    for value, slope in ((0.4, 0), (0.6, 1), (1.4, 1), (7.3, 1), (31.4, 1), (31.6, 0)):
        x = torch.zeros(T, 1, 1)
        x[0] = 2 * value
        x.requires_grad_()
        cells = neurons(decay=0.5, current=0.5, recurrent=False)
        cells(x)[0].sum().backward()
        assert x.grad[0].item() == pytest.approx(0.5 * slope)


def test_it_becomes_a_node_with_its_connections_a_step_late():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 6, bias=False), neurons(6, threshold=0.1)).eval()
    graph = capture(module, (3,))
    (node,) = graph.nodes_of(CubaLIF).values()
    assert (node.most_spikes, node.reset, float(node.gain)) == (31, "subtract", 0.5)
    x = np.random.default_rng(0).integers(0, 5, (T, 8, 3)).astype(np.float32)
    record = simulate(graph, x, Request(trains=True))
    (train,) = record.trains.values()
    with torch.no_grad():
        assert np.array_equal(train.unpack(), module(torch.from_numpy(x)).numpy())
    assert train.unpack().max() > 1


def test_every_weight_of_its_network_learns():
    torch.manual_seed(1)
    module = synaptic(Task((4,), 3, T, method("fixed", threshold=0.02, shape="atan")), hidden=[8, 6])
    answers = module(torch.randint(0, 16, (T, 20, 4)).float())
    assert answers.shape == (20, 3)
    torch.nn.functional.cross_entropy(answers, torch.arange(20) % 3).backward()
    gradients = {name: weight.grad.abs().sum() for name, weight in module.named_parameters()}
    assert len(gradients) == 5
    assert all(gradient > 0 for gradient in gradients.values())


@pytest.mark.parametrize("options", [{"decay": 1.0}, {"current": 0.0}, {"most": 0}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(SpikeportError, match="SP316"):
        neurons(**options)
