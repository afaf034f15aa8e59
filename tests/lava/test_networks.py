"""The published networks, every layer of them at reduced width, on Lava."""

from __future__ import annotations

import pytest

from lava_networks import compare, resnet19, vggsnn
from spikeport.graph import LIF, Conv, Linear
from spikeport_targets.lava import Lava


def test_the_networks_have_the_published_layers():
    graph, _ = resnet19()
    assert len(graph.nodes_of(Conv)) - 2 + len(graph.nodes_of(Linear)) == 19  # two of the convolutions are on skips
    assert len(graph.nodes_of(LIF)) == 20
    graph, _ = vggsnn()
    assert (len(graph.nodes_of(Conv)), len(graph.nodes_of(Linear)), len(graph.nodes_of(LIF))) == (8, 1, 8)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.skipif(not Lava().availability().ready, reason=Lava().availability().why)
@pytest.mark.parametrize("make", [resnet19, vggsnn])
def test_every_spike_of_every_layer_is_the_same_on_lava(make):
    graph, samples = make()
    lava, engine, wrong = compare(graph, samples)
    assert wrong == (0, 0, 0)
    assert lava.overflows == {} == engine.overflows
    for name, rates in engine.rates().items():
        assert 0.01 < rates.mean() < 0.6, name
