"""What a training learns of a batch's steps when samples end at different ones: of those that go so far, no more."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from spikeport.training import PLIF, Linear, Readout, TdBatchNorm
from spikeport.training.catalogue import method
from spikeport.training.ends import check_ends, reading
from spikeport.training.loop import train_step
from spikeport.training.membrane_norm import MembraneNorm
from spikeport.training.recipe import Recipe
from spikeport.training.recurrent import Recurrent
from spikeport.training.step_norms import Tab, Tebn

T, B, C = 7, 5, 6
LENGTHS = torch.tensor([5, 1, 3, 4, 2])  # none goes to the last two steps
ALIVE = torch.arange(T)[:, None] < LENGTHS
RECIPE = Recipe(model="m", dataset="d", network="n", timesteps=T, epochs=1)


def noise(seed=0, *shape):
    return torch.randn(shape or (T, B, C), generator=torch.Generator().manual_seed(seed))


def ending(module, x):
    module.ends = LENGTHS
    return module(x)


def membranes(x, neuron, thresholds):
    """[T, B, C] before the reset to zero, by the equation."""
    v, out = torch.zeros_like(x[0]), []
    for t in range(len(x)):
        out.append(neuron.decay * v + x[t])
        v = torch.where(out[-1] >= thresholds[t], 0, out[-1])
    return torch.stack(out)


@pytest.mark.parametrize("per_channel", [False, True])
def test_thresholds_are_those_of_the_samples_that_go_so_far(per_channel):
    """DS-ATGO eq. 5: f_c (mean + std) of the membranes; where nobody is left it stays as it was."""
    adapting = method("ds-atgo", momentum=1.0, f_c=0.5, per_channel=per_channel)
    neuron = PLIF(adapting, T, channels=C if per_channel else None).train()
    before, x = neuron.threshold.clone(), 3 * noise()
    with torch.no_grad():
        ending(neuron, x)
    u = membranes(x, neuron, neuron.threshold)
    for t in range(T):
        there = u[t][ALIVE[t]] if per_channel else u[t][ALIVE[t]].reshape(-1, 1)
        known = len(there) > 0
        wanted = 0.5 * (there.mean(0) + there.std(0, correction=min(1, len(there) - 1))) if known else before[t]
        torch.testing.assert_close(neuron.threshold[t], wanted.reshape(before[t].shape))
    assert not torch.equal(neuron.threshold[: LENGTHS.max()], before[: LENGTHS.max()])


def test_a_normalisation_is_torchs_of_the_values_before_the_ends():
    norm, torchs = TdBatchNorm(C, method("ds-atgo")).train(), nn.BatchNorm1d(C).train()
    torchs.weight.data, torchs.bias.data = norm.weight.data.clone(), norm.bias.data.clone()
    x, g = 2 * noise(1) + 1, noise(2)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, z = ending(norm, ours), torchs(theirs[ALIVE])
    torch.testing.assert_close(y[ALIVE], z)
    torch.testing.assert_close(norm.running_mean, torchs.running_mean)
    torch.testing.assert_close(norm.running_var, torchs.running_var)
    (y * g)[ALIVE].sum().backward()
    (z * g[ALIVE]).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert not ours.grad[~ALIVE].any()


def network(name, norm):
    torch.manual_seed(3)
    adapting = method(name)
    norms = {"tdbn": lambda: TdBatchNorm(C, adapting), "tebn": lambda: Tebn(C, adapting, T)}
    return nn.Sequential(
        Linear(4, C), norms[norm](), PLIF(adapting, T), Recurrent(adapting, T, channels=C), Linear(C, 3), Readout(T)
    ).train()


@pytest.mark.parametrize("norm", ["tdbn", "tebn"])
@pytest.mark.parametrize("name", ["ds-atgo", "mpd-agl", "fixed"])
def test_nothing_is_learned_of_what_lies_behind_the_ends(name, norm):
    states = []
    for fill in (0.0, 9.0):
        x = noise(4, T, B, 4)
        x[~ALIVE] = fill
        net = network(name, norm)
        train_step(net, x, torch.tensor([0, 1, 2, 0, 1]), torch.optim.SGD(net.parameters(), 0.1), RECIPE, LENGTHS)
        states.append(copy.deepcopy(net.state_dict()))
        assert all(getattr(part, "ends", None) is None for part in net.modules())
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
        assert value.isfinite().all()
    assert not torch.equal(states[0]["1.running_mean"], torch.zeros(C))


def test_outside_of_a_training_nothing_changes():
    net, x = network("ds-atgo", "tdbn").eval(), noise(4, T, B, 4)
    plain = net[:5](x)
    with reading(net, LENGTHS):
        torch.testing.assert_close(net[:5](x), plain, rtol=0, atol=0)


def test_whose_statistics_still_see_padding_is_said():
    fixed = method("fixed")
    assert check_ends(network("ds-atgo", "tdbn"), RECIPE) is None
    for part in (Tab(C, fixed, T), MembraneNorm(fixed, T, channels=C), nn.BatchNorm1d(C)):
        note = check_ends(nn.Sequential(part), RECIPE)
        assert (note.code, note.severity) == ("SP325", "note")
        assert type(part).__name__ in note.what
