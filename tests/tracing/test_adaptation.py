"""Thresholds that follow their own spikes, written by hand and by libraries, against the modules: every spike."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.graph import ALIF, LIF, Gate, Linear
from spikeport.tracing import adaptation, capture

T = 6


def linear(inputs, outputs):
    layer = nn.Linear(inputs, outputs)
    layer.weight.data *= 4
    return layer


class Loop(nn.Module):
    """One layer of adaptive neurons in a loop over time; ``step`` is how they are written."""

    def __init__(self, step, recurrent=False, timesteps=T):
        super().__init__()
        self.step, self.timesteps = step, timesteps
        self.fc, self.out = linear(6, 8), nn.Linear(8, 3)
        self.back = nn.Linear(8, 8, bias=False) if recurrent else None

    def forward(self, x):
        state = (torch.zeros(len(x), 8),) * 3
        total = 0
        for _ in range(self.timesteps):
            entering = self.fc(x) if self.back is None else self.fc(x) + self.back(state[2])
            state = self.step(entering, *state)
            total = total + self.out(state[2])
        return total / self.timesteps


def to_zero(x, v, a, s):
    v = 0.9 * v * (1 - s) + x
    s = (v >= 0.5 + 0.3 * a).float()
    return v, 0.8 * a + s, s


def taken_off(x, v, a, s):
    v = 0.9 * v + x
    theta = 0.5 + 0.3 * a
    s = (v - theta > 0).float()
    return v - s * theta, 0.8 * a + s, s


def late(x, v, a, s):
    """Bellec et al.: a spike takes the threshold at rest, one step later."""
    a = 0.8 * a + s
    v = 0.9 * v + x - 0.5 * s
    return v, a, (v > 0.5 + 0.3 * a).float()


def yin(x, v, b, s):
    """Yin et al., Nature Machine Intelligence 2021: a spike takes the threshold that has risen with it."""
    b = 0.9 * b + 0.1 * s
    theta = 0.1 + 1.8 * b
    v = 0.8 * v + 0.2 * x - theta * s
    return v, b, (v - theta > 0).float()


def captured(module, **options):
    torch.manual_seed(0)
    graph = capture(module().eval(), (6,), timesteps=T, **options)
    assert graph.provenance["verified"]["silent"] == []
    return graph


@pytest.mark.parametrize(("step", "reset"), [(to_zero, "zero"), (taken_off, "subtract"), (late, "none")])
def test_a_threshold_that_rises_with_each_spike_is_one_node(step, reset):
    ((_, node),) = captured(lambda: Loop(step)).nodes_of(ALIF).items()
    assert node.reset == reset
    assert [float(v) for v in (node.decay, node.adaptation, node.adaptation_decay)] == pytest.approx([0.9, 0.3, 0.8])
    assert node.threshold == pytest.approx(0.5)


def test_a_spike_that_takes_a_threshold_risen_with_it_is_several():
    graph = captured(lambda: Loop(yin))
    assert len(graph.nodes_of(Gate)) == 1
    assert not graph.nodes_of(ALIF)


class Started(Loop):
    """The adaptation starts at its resting value and not at zero, as in Yin et al.'s own code."""

    def forward(self, x):
        v, b, s = torch.zeros(len(x), 8), 0.1, torch.zeros(len(x), 8)
        total = 0
        for _ in range(self.timesteps):
            v, b, s = self.step(self.fc(x), v, b, s)
            total = total + self.out(s)
        return total / self.timesteps


@pytest.mark.parametrize("step", [yin, late, taken_off, to_zero])
def test_an_adaptation_may_start_above_zero(step):
    graph = captured(lambda: Started(step))  # whose thresholds come down by themselves: a schedule
    (neurons,) = (node for node in graph.nodes.values() if isinstance(node, LIF))
    assert len(set(neurons.threshold.tolist())) == T


def test_recurrent_adaptive_neurons_are_a_layer_behind_a_delay():
    graph = captured(lambda: Loop(to_zero, recurrent=True))
    assert graph.recurrent
    assert len(graph.nodes_of(ALIF)) == 1


def libraries():
    sinabs, norse = pytest.importorskip("sinabs"), pytest.importorskip("norse.torch")
    back = nn.Linear(8, 8)
    options = {"tau_mem": 10.0, "tau_adapt": 20.0, "spike_fn": sinabs.activation.SingleSpike}
    yield nn.Sequential(linear(6, 8), sinabs.layers.ALIFRecurrent(**options, rec_connect=back), nn.Linear(8, 3))
    for neurons in (norse.LSNNRecurrent(8, 8), norse.LSNNRecurrentCell(8, 8)):
        yield norse.SequentialState(linear(6, 8), neurons, nn.Linear(8, 3))


def test_the_libraries_recurrent_adaptive_neurons():
    torch.manual_seed(0)
    for net in libraries():
        graph = capture(net.eval(), (6,), timesteps=T)
        assert len(graph.nodes_of(ALIF)) == 1
        assert len(graph.nodes_of(Linear)) >= 3
        assert graph.provenance["verified"]["spikes"] > 50


def test_a_wrong_rise_is_no_proof(monkeypatch):
    right = adaptation._one_node

    def wrong(*arguments):
        cells = right(*arguments)
        return replace(cells, node=cells.node.with_(adaptation=1.1 * cells.node.adaptation))

    monkeypatch.setattr(adaptation, "_one_node", wrong)
    with pytest.raises(SpikeportError) as caught:
        captured(lambda: Loop(to_zero))
    assert caught.value.code == "SP382"


def test_three_timesteps_do_not_show_how_a_threshold_comes_back():
    with pytest.raises(SpikeportError) as caught:
        capture(Loop(to_zero, timesteps=3), (6,))
    (finding,) = caught.value.findings
    assert "timesteps=4" in finding.mend
    assert capture(Loop(to_zero, timesteps=4), (6,)).nodes_of(ALIF)
