"""What the neurons of a network do on some samples: who fires, and who is inside the surrogate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeport.graph import Coding
from spikeport.training import stepwise
from spikeport.training.neurons import Neuron
from spikeport.training.parts import there
from spikeport.training.reduce import before, mean_and_std


@dataclass(frozen=True)
class Activity:
    """One layer, [T] each; shares lie between 0 and 1, of neurons x samples that have not ended."""

    rate: list[float]  #: neurons that fire
    inside: list[float]  #: membranes less than half a surrogate width from the threshold: they get a gradient
    threshold: list[float]  #: membrane units, mean over channels where each has its own
    width: list[float]  #: of the surrogate, likewise


@torch.no_grad()
def activity(
    module: nn.Module,
    x: Tensor,
    coding: Coding = "direct",
    batch: int | None = None,
    done: Callable[[int], None] = lambda samples: None,
    lengths: Tensor | None = None,
) -> dict[str, Activity]:
    """Activity of each spiking layer in evaluation mode, by name, on ``x`` [B, ...], or [T, B, ...] of "events".

    Thresholds are the learned table's, which these samples did not set. Where a method's width follows the spread of
    the membranes, it is the spread in each ``batch`` of samples (all at once unless said), as in training: a
    checkpoint holds no width. ``done`` hears how many samples are through. Samples of ``lengths`` [B] count up to their
    ends; a step that none of them has has shares of 0. Widths are as in training, which sees the padding.
    """
    axis = int(coding == "events")
    neurons = {name: part for name, part in module.named_modules() if isinstance(part, Neuron)}
    sums: dict[str, Tensor | float] = {}
    counts: dict[str, Tensor | float] = {}
    through = 0

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(part, Neuron)
            steps, samples = inputs[0].shape[:2]
            alive = torch.ones(steps, samples, dtype=torch.bool)
            if lengths is not None:
                alive = before(lengths[through : through + samples], steps)
            number = torch.stack([alive.sum(1), torch.full((steps,), samples)]).repeat_interleave(2, 0)
            counts[name] = counts.get(name, 0.0) + number
            sums[name] = sums.get(name, 0.0) + number * _activity(part, inputs[0], alive)

        return hook

    handles = [part.register_forward_pre_hook(watch(name)) for name, part in neurons.items()]
    training = module.training
    try:
        module.eval()
        for samples in torch.split(x, batch or x.shape[axis], axis):
            module(there(samples, next((part.threshold.device for part in neurons.values()), x.device)))
            through += samples.shape[axis]
            done(through)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return {
        name: Activity(*(torch.as_tensor(total) / torch.as_tensor(counts[name]).clamp(min=1)).tolist())
        for name, total in sums.items()
    }


def _activity(part: Neuron, x: Tensor, alive: Tensor) -> Tensor:
    """The rows of an `Activity`, [4, T] in float64, of the samples that are ``alive`` [T, B] at each step."""
    theta = part.threshold.detach()
    spikes, u = part.membranes(x)
    widths = _widths(part, u, theta)
    near = [
        (u[t] - stepwise.spread(theta[t], u[t])).abs() < stepwise.spread(widths[t], u[t]) / 2 for t in range(u.shape[0])
    ]
    each = [[step[at] for step, at in zip(steps, there(alive, x.device), strict=True)] for steps in (spikes, near)]
    rows = [[step.count_nonzero().double() / max(1, step.numel()) for step in steps] for steps in each]
    rows += [[step.double().mean() for step in steps] for steps in (theta, widths)]
    return torch.stack([torch.stack(row) for row in rows]).cpu()


def _widths(part: Neuron, u: Tensor, theta: Tensor) -> Tensor:
    """[T] or [T, C]: as training would choose them for these membranes."""
    if not part.method.adaptive or part.learns_threshold:
        return part.surrogate_widths().detach()
    if part.method.watches:
        return torch.stack([part.method.watch(step, part.decay)[1] for step in u])
    spreads = [mean_and_std(step, per_channel=theta.ndim == 2)[1] for step in u]
    return part.method.adapted_width(torch.stack(spreads), theta)
