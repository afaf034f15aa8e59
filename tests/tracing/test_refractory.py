"""Neurons that rest for some steps after a spike: Norse's, and those that `refractory` builds, held to the modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Gate
from spikeport.target import Request
from spikeport.tracing import capture, refractory, register_neuron
from traced import fired

norse = pytest.importorskip("norse.torch")

T = 10


def lasting(spikes, rest):
    """Whether each neuron is silent for ``rest`` steps after a spike, and one of them fires again straight after."""
    apart = [np.diff(np.flatnonzero(train)) for train in spikes.reshape(len(spikes), -1).T]
    return min(gap.min() for gap in apart if gap.size) == rest + 1


def same(module, x):
    graph = fired(capture(module, x.shape[2:], timesteps=T, forward="sequence"))
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).numpy()
    (train,) = simulate(graph, x, Request(trains=True)).trains.values()
    assert theirs.mean() > 0.03
    np.testing.assert_array_equal(train.unpack(), theirs)
    return graph, theirs


def inputs(shape=(6,)):
    return np.random.default_rng(2).normal(0, 1, (T, 40, *shape)).astype(np.float32)


class Cells(nn.Module):
    """[T, B, 6] through one of Norse's cells; it returns the spikes."""

    def __init__(self, rest, cell=norse.LIFRefracCell, **options):
        super().__init__()
        torch.manual_seed(1)
        parameters = norse.LIFParameters(**{"v_th": torch.tensor(0.3), **options})
        whole = norse.LIFRefracParameters(lif=parameters, rho_reset=torch.tensor(rest))
        self.fc, self.cell = nn.Linear(6, 8), cell(p=whole)
        self.fc.weight.data.mul_(10)

    def forward(self, x):
        state, spikes = None, []
        for step in x:
            z, state = self.cell(self.fc(step), state)
            spikes.append(z)
        return torch.stack(spikes)


@pytest.mark.parametrize(("rest", "steps"), [(1.0, 1), (2.0, 2), (2.5, 3), (5.0, 5)])
def test_norses_cell_counts_down_before_it_fires_again(rest, steps):
    _, theirs = same(Cells(rest), inputs())
    assert lasting(theirs, steps)


@pytest.mark.parametrize(
    "options",
    [{"v_reset": torch.tensor(-0.2)}, {"tau_mem_inv": torch.tensor(300.0), "tau_syn_inv": torch.tensor(700.0)}],
)
def test_norses_cell_with_parameters_of_its_own(options):
    same(Cells(2.0, **options), inputs())


def test_norses_cell_on_maps():
    module = Cells(2.0)
    module.fc = nn.Conv2d(1, 3, 3)
    module.fc.weight.data.mul_(8)
    same(module, inputs((1, 6, 6)))


class Resting(nn.Module):
    """[T, B, ...]: u = 0.9 v + x, fires above 0.5, and a counter as people write it."""

    rest = 3

    def __init__(self, reset, meanwhile):
        super().__init__()
        self.reset, self.meanwhile = reset, meanwhile

    def after(self, u):
        return {"zero": 0 * u, "value": 0 * u - 0.25, "subtract": u - 0.5}[self.reset]

    def forward(self, x):
        v, count, spikes = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
        for step in x:
            resting = count > 0
            u = 0.9 * v + step
            spike = (u > 0.5) & ~resting
            quiet = {"held": v, "zero": 0 * v, "free": u}[self.meanwhile]
            v = torch.where(spike, self.after(u), torch.where(resting, quiet, u))
            count = torch.where(spike, torch.full_like(count, self.rest), torch.clamp(count - 1, min=0))
            spikes.append(spike.to(x.dtype))
        return torch.stack(spikes)


class Net(nn.Module):
    def __init__(self, neurons):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.neurons = nn.Linear(6, 9), neurons

    def forward(self, x):
        return self.neurons(self.fc(x))


class Registered(Resting):
    pass


def node(module, shape, timesteps, **options):
    whole = {"decay": np.float32(0.9), "threshold": np.full(timesteps, 0.5), "compare": ">", "reset": module.reset}
    if module.reset == "value":
        whole["reset_value"] = np.float32(-0.25)
    return LIF(shape, **{**whole, **options})


register_neuron(Registered, lambda m, s, t: refractory(node(m, s, t), m.rest, m.meanwhile))


@pytest.mark.parametrize("meanwhile", ["held", "zero", "free"])
@pytest.mark.parametrize("reset", ["zero", "value", "subtract"])
def test_a_counter_of_ones_own_is_registered_as_refractory_neurons(reset, meanwhile):
    graph, theirs = same(Net(Registered(reset, meanwhile)), inputs())
    assert lasting(theirs, Registered.rest)
    assert graph.nodes_of(Gate)


def test_a_counter_that_is_followed_line_by_line_is_one_finding_that_says_what_to_do():
    with pytest.raises(SpikeportError) as caught:
        capture(Net(Resting("zero", "held")), (6,), timesteps=T, forward="sequence")
    (finding,) = caught.value.findings
    assert finding.code == "SP380"
    assert "'neurons' (Resting), test_refractory.py line" in finding.where
    assert "register_neuron" in finding.mend
    assert "refractory" in finding.mend


def test_integers_say_that_such_neurons_are_none_of_theirs():
    x = inputs()
    graph = capture(Cells(2.0), (6,), timesteps=T, forward="sequence")
    with pytest.raises(SpikeportError) as caught:
        spikeport.quantize(graph, data=x.swapaxes(0, 1))
    assert {finding.code for finding in caught.value.findings} == {"SP437"}
    assert "train neurons that one node computes" in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (0, {}),
        (2, {"bias": np.float32(0.1)}),
        (2, {"gain": np.float32(2.0)}),
        (2, {"reset": "none"}),
        (2, {"threshold": np.full(T, -0.5)}),
        (2, {"threshold": np.zeros(T), "compare": ">="}),
        (2, {"reset": "subtract", "threshold": np.linspace(0.5, 1, T)}),
    ],
)
def test_what_refractory_cannot_hold_is_refused(steps, options):
    with pytest.raises(SpikeportError) as caught:
        refractory(node(Registered("zero", "held"), (4,), T, **options), steps)
    assert caught.value.code == "SP387"


def test_cells_of_a_library_that_are_not_known_are_one_finding_each():
    recurrent = lambda p: norse.LIFRefracRecurrentCell(8, 8, p=p)  # noqa: E731
    with pytest.raises(SpikeportError) as caught:
        capture(Cells(2.0, recurrent), (6,), timesteps=T, forward="sequence")
    (finding,) = caught.value.findings
    assert finding.what.startswith("LIFRefracRecurrentCell of norse is followed line by line, which ends at ")
