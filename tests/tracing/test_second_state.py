"""Neurons of two states: adaptation that follows the membrane, and membranes that swing, written by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from published import Adapting, Connected, Late, Swinging, TwoStates
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Scale
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired

KINDS = {kind.__name__: kind for kind in (Adapting, Connected, Late, Swinging)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [5, 25])
def test_a_second_state_is_a_node_of_its_own(kind, steps):
    module = KINDS[kind]().eval()
    graph = fired(capture(module, (6,), timesteps=steps, forward="sequence"))
    (neurons,) = graph.nodes_of(LIF).values()
    assert not neurons.decay.any()
    fades = [node.factor for name, node in graph.nodes_of(Scale).items() if name.endswith("second.fade")]
    wanted = np.full(8, 0.9) if kind == "Swinging" else module.beta.detach().numpy()
    np.testing.assert_allclose(np.broadcast_to(fades[0], wanted.shape), wanted, rtol=1e-6)
    x = np.random.default_rng(3).normal(0.1, 1, (steps, 9, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.from_numpy(x).transpose(0, 1)).numpy()
    ours = simulate(graph, x, Request(trains=True))
    np.testing.assert_allclose(ours.outputs, theirs, rtol=1e-4, atol=1e-4)
    assert 0.01 < ours.trains["spikes"].unpack().mean() < 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_of_a_still_frame(kind):
    fired(capture(KINDS[kind]().eval(), (6,)))


def test_files_hold_both_states(tmp_path):
    graph = capture(Late().eval(), (6,), timesteps=9, forward="sequence")
    x = np.random.default_rng(3).normal(0.1, 1, (9, 20, 6)).astype(np.float32)
    outputs = simulate(graph, x).outputs
    for form, name in ((nir, "a.nir"), (onnx, "a.onnx")):
        form.write(graph, tmp_path / name)
        assert np.array_equal(simulate(form.read(tmp_path / name)[0], x).outputs, outputs)


@pytest.mark.parametrize("nothing", [("a", "b"), ("beta",)], ids=str)
@pytest.mark.parametrize("kind", ["Adapting", "Late"])
def test_an_adaptation_of_nothing_is_none(nothing, kind):
    """What counts nothing is no second state: the neurons of one remain."""
    module = KINDS[kind]().eval()
    for name in nothing:
        getattr(module, name).data.zero_()
    graph = fired(capture(module, (6,), timesteps=9, forward="sequence"))
    assert not [name for name in graph.nodes if name.endswith("second.fade")]


class Third(TwoStates):
    """Another current behind the first."""

    def go_on(self, x, u, w, s):
        first, second = w if isinstance(w, tuple) else (w, w)
        first = 0.9 * first + self.a * u
        second = 0.8 * second + first
        u = self.alpha * (u - s) + x - 0.1 * second
        return u, (first, second), (u > 1).to(x.dtype)


@pytest.mark.parametrize("kind", [Third])
def test_a_third_state_is_refused(kind):
    with pytest.raises(SpikeportError, match="longer ago than the last"):
        capture(kind().eval(), (6,), timesteps=12, forward="sequence")


def test_three_steps_do_not_tell_how_a_state_fades():
    with pytest.raises(SpikeportError, match="SP380"):
        capture(Late().eval(), (6,), timesteps=3, forward="sequence")
