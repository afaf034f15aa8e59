"""A result with an axis of time: spikes are counted, wherever else they lead; of other values the mean is read out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from exported import export
from spikeport.engine import simulate
from spikeport.graph import LIF
from spikeport.tracing import capture, over_time
from spikeport.verbs.load import load_model

T = 6


def zero(x, u):
    u = 0.8 * u + x
    z = (u > 0.3).to(x.dtype)
    return z, u * (1 - z)


def subtract(x, u):
    u = 0.8 * u + x
    z = (u > 0.3).to(x.dtype)
    return z, u - 0.3 * z


def a_step_late(x, state):
    """As snnTorch resets by default: the threshold goes one step later."""
    u, last = state if isinstance(state, tuple) else (0.0, 0.0)
    u = 0.8 * u + x - 0.3 * last
    z = (u > 0.3).to(x.dtype)
    return z, (u, z)


def partial(x, u):
    u = 0.8 * u + x
    z = (u > 0.3).to(x.dtype)
    return z, u - 0.5 * z * u


def adaptive(x, state):
    u, a = state if isinstance(state, tuple) else (0.0, torch.zeros_like(x))
    u = 0.8 * u + x
    z = (u - (0.3 + 0.5 * a) > 0).to(x.dtype)
    return z, (u - 0.3 * z, 0.9 * a + z)


def ternary(x, u):
    u = 0.8 * u + x
    z = (u > 0.3).to(x.dtype) - (u < -0.3).to(x.dtype)
    return z, u - 0.3 * z


def delayed(x, state):
    u, line = state if isinstance(state, tuple) else (0.0, [torch.zeros_like(x)] * 2)
    u = 0.8 * u + x
    z = (u > 0.3).to(x.dtype)
    return line[0], (u * (1 - z), [line[1], z])


def graded(x, u):
    z, u = zero(x, u)
    return 0.5 * z, u


STEPS = [zero, subtract, a_step_late, partial, adaptive, ternary, delayed, graded]


class Loop(nn.Module):
    """[B, 8] at each of T steps; ``end`` makes the result of the spikes [T, B, 6] and of a layer's values behind."""

    def __init__(self, step, end=lambda spikes, values: spikes):
        super().__init__()
        torch.manual_seed(0)
        self.step, self.end = step, end
        self.fc, self.out = nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, x):
        state, spikes, values = 0.0, [], []
        for _ in range(T):
            z, state = self.step(self.fc(x), state)
            spikes.append(z)
            values.append(self.out(z))
        return self.end(torch.stack(spikes), torch.stack(values))


def drawn_samples():
    return 2 * torch.randn(40, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("step", STEPS)
def test_spikes_over_time_are_counted_wherever_else_they_lead(step):
    net, x = Loop(step), drawn_samples()
    graph = capture(net, (8,))
    train = net(x)
    assert 0.05 < train.abs().mean() < 0.95
    np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, train.sum(0).numpy(), atol=1e-6)
    assert not over_time.told_of(graph.provenance["notes"])


ENDS = {
    "features grouped anew": lambda spikes, values: spikes.unflatten(2, (2, 3)).transpose(2, 3),
    "a part of the features": lambda spikes, values: spikes[:, :, 2:5],
    "both layers of a residual": lambda spikes, values: torch.cat([spikes, spikes], 2),
    "as a list of steps": lambda spikes, values: torch.stack(list(spikes)),
    "without the first step": lambda spikes, values: torch.cat([torch.zeros_like(spikes[:1]), spikes[1:]]),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("step", [zero, a_step_late])
def test_spikes_are_counted_wherever_they_were_put(step, end):
    net, x = Loop(step, ENDS[end]), drawn_samples()
    np.testing.assert_allclose(simulate(capture(net, (8,)), x.numpy()).outputs, net(x).sum(0).numpy(), atol=1e-6)


@pytest.mark.parametrize("step", [zero, a_step_late, ternary, graded])
def test_one_result_of_several_is_what_it_is_among_all(step):
    named = Loop(step, lambda spikes, values: {"spikes": spikes, "values": values})
    x = drawn_samples()
    alone = simulate(capture(named, (8,), output="spikes"), x.numpy()).outputs
    np.testing.assert_array_equal(alone, simulate(capture(named, (8,)), x.numpy()).outputs)
    np.testing.assert_allclose(alone, named(x)["spikes"].sum(0).numpy(), atol=1e-6)


@pytest.mark.parametrize("step", [zero, a_step_late, partial])
def test_a_module_and_its_onnx_file_count_alike(step, tmp_path):
    net, x = Loop(step), drawn_samples()
    model = load_model(export(net, x[:1], tmp_path / "net.onnx", newer=False, open_axis=0))
    ours = simulate(model.graph, x.numpy()).outputs
    np.testing.assert_array_equal(ours, simulate(capture(net, (8,)), x.numpy()).outputs)
    np.testing.assert_array_equal(ours, net(x).sum(0).numpy())
    assert [finding.code for finding in model.findings] == ["SP259"]


def test_of_other_values_the_mean_is_read_out_and_said(tmp_path):
    net, x = Loop(zero, lambda spikes, values: values), drawn_samples()
    graph = capture(net, (8,))
    np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, net(x).mean(0).detach().numpy(), atol=1e-6)
    (note,) = over_time.told_of(graph.provenance["notes"])
    assert f"mean over the {T} steps" in note
    model = load_model(export(net, x[:1], tmp_path / "net.onnx", newer=False, open_axis=0))
    assert [(each.code, each.severity) for each in model.findings] == [("SP259", "note"), ("SP242", "note")]
    assert model.findings[1].what == note


def test_membranes_over_time_are_read_out_as_their_mean_and_said():
    class Leaky(Loop):
        def forward(self, x):
            u, v, values = 0.0, 0.0, []
            for _ in range(T):
                z, u = zero(self.fc(x), u)
                v = 0.9 * v + self.out(z)
                values.append(v)
            return torch.stack(values)

    net, x = Leaky(zero), drawn_samples()
    graph = capture(net, (8,))
    np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, net(x).mean(0).detach().numpy(), atol=1e-5)
    assert len(over_time.told_of(graph.provenance["notes"])) == 1


def test_of_several_results_those_are_named_whose_mean_is_read_out():
    graph = capture(Loop(zero, lambda spikes, values: {"spikes": spikes, "values": values}), (8,))
    (note,) = over_time.told_of(graph.provenance["notes"])
    assert "('values')" in note


@pytest.mark.parametrize("end", ["sum", "mean"])
def test_a_module_that_says_what_it_reads_out_is_taken_at_its_word(end):
    net, x = Loop(a_step_late, lambda spikes, values: getattr(spikes, end)(0)), drawn_samples()
    graph = capture(net, (8,))
    np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, net(x).numpy(), atol=1e-6)
    assert not over_time.told_of(graph.provenance["notes"])
    assert graph.nodes_of(LIF)
