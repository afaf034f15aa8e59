"""Neurons that adapt: what they do by hand, in real numbers only, and an implementation of somebody else's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import ALIF, LOIHI2, Graph, Input, Linear, Loihi, Readout, definition
from spikeport.quantisation import prepare
from spikeport.target import Request, target
from spikeport.tracing import capture, register_neuron

T = 6
HALF = np.asarray(0.5)


def network(**changes):
    """One input of 1 a step into one neuron that keeps half of its membrane and fires from 1 on."""
    facts = {"adaptation": np.asarray(1.0), "adaptation_decay": HALF, "reset": "subtract"} | changes
    node = ALIF((1,), HALF, np.ones(T), **facts)
    nodes = {"in": Input((1,), "events"), "fc": Linear(np.ones((1, 1))), "alif": node}
    return Graph.chain(nodes | {"out": Readout((1,), np.ones(T))}, T)


@pytest.mark.parametrize(
    ("changes", "spikes", "after"),
    [
        # u = 1 fires and leaves 0; u = 1 < 1 + 1; u = 1.5 = 1 + 0.5 fires and leaves 0; u = 1 < 2.25; 1.5 < 1.625; 1.75
        ({}, [1, 0, 1, 0, 0, 1], [0, 1, 0, 1, 1.5, 1.75 - 1.3125]),
        ({"compare": ">"}, [0, 1, 0, 1, 0, 0], [1, 0.5, 1.25, 1.625 - 1.5, 1.0625, 1.53125]),
        ({"reset": "none", "adaptation": np.asarray(0.0)}, [1] * T, [1, 1.5, 1.75, 1.875, 1.9375, 1.96875]),
        ({"reset": "zero"}, [1, 0, 1, 0, 0, 1], [0, 1, 0, 1, 1.5, 0]),
    ],
)
def test_thresholds_rise_with_the_neurons_own_spikes_and_come_down(changes, spikes, after):
    graph, x = network(**changes), np.ones((T, 1, 1), np.float32)
    run = definition.run(graph, x)
    assert run.spikes("alif")[:, 0, 0].astype(int).tolist() == spikes
    assert run.after["alif"][:, 0, 0].tolist() == after
    record = simulate(graph, x, Request(trains=True, membranes=True))
    assert record.membranes["alif"][:, 0, 0].tolist() == after


def test_integers_refuse_them_and_say_how_far_off_they_would_be():
    """With rho = 1/2 over six steps 1 + 1/2 + ... + 1/32 = 1.97 units."""
    for build in (lambda: network().with_(arithmetic=Loihi(LOIHI2)), lambda: prepare(network())):
        with pytest.raises(SpikeportError) as caught:
            build()
        (finding,) = (each for each in caught.value.findings if each.code == "SP131")
        assert "1.97 membrane units" in finding.what
        assert finding.where == "node 'alif'"


@pytest.mark.parametrize("name", ["lava", "nengo-loihi", "sanafe", "speck"])
def test_chips_refuse_them(name):
    assert any(finding.severity == "error" for finding in target(name).check(network()))


class Bellec(nn.Module):
    """Somebody's LSNN neuron, one loop over time: B = b0 + 1.8 b, b = rho b + (1 - rho) z, v = alpha v + x - z B."""

    def forward(self, x):
        v = b = torch.zeros_like(x[0])
        spikes = []
        for step in x:
            v = 0.8 * v + step
            level = 0.6 + 1.8 * b
            z = (v > level).to(v.dtype)
            v = v - z * level
            b = 0.9 * b + (1 - 0.9) * z
            spikes.append(z)
        return torch.stack(spikes)


def test_a_registered_neuron_that_adapts_is_captured_and_proved():
    def convert(module, shape, timesteps):
        rise = {"adaptation": np.asarray(1.8 * (1 - 0.9)), "adaptation_decay": np.asarray(0.9)}
        return ALIF(shape, np.asarray(0.8), np.full(timesteps, 0.6), reset="subtract", compare=">", **rise)

    register_neuron(Bellec, convert)
    torch.manual_seed(0)
    graph = capture(nn.Sequential(nn.Linear(5, 8), Bellec(), nn.Linear(8, 3)), (5,), timesteps=T, coding="events")
    assert len(graph.nodes_of(ALIF)) == 1
    assert graph.provenance["verified"]


def test_adapting_neurons_fire_once_a_step():
    with pytest.raises(SpikeportError, match="SP102"):
        network(most_spikes=2)
