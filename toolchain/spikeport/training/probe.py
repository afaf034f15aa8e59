"""What the neurons of a network do on some samples: who fires, and who is inside the surrogate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeport.training import stepwise
from spikeport.training.neurons import Neuron
from spikeport.training.reduce import mean_and_std


@dataclass(frozen=True)
class Activity:
    """One layer, [T] each; shares lie between 0 and 1, of samples x neurons."""

    rate: list[float]  #: neurons that fire
    inside: list[float]  #: membranes less than half a surrogate width from the threshold: they get a gradient
    threshold: list[float]  #: membrane units, mean over channels where each has its own
    width: list[float]  #: of the surrogate, likewise


@torch.no_grad()
def activity(module: nn.Module, x: Tensor) -> dict[str, Activity]:
    """Activity of each spiking layer in evaluation mode, by name, on the samples ``x``.

    Thresholds are the learned table's, which these samples did not set. Where a method's width follows the spread of
    the membranes, it is the spread on these samples: a checkpoint holds no width.
    """
    activities: dict[str, Activity] = {}

    def watch(name: str) -> object:
        def hook(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(part, Neuron)
            activities[name] = _activity(part, inputs[0])

        return hook

    handles = [
        part.register_forward_pre_hook(watch(name))  # type: ignore[arg-type]
        for name, part in module.named_modules()
        if isinstance(part, Neuron)
    ]
    training = module.training
    try:
        module.eval()(x)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return activities


def _activity(part: Neuron, x: Tensor) -> Activity:
    theta = part.threshold.detach()
    spikes, u = part.membranes(x)
    widths = part.surrogate_widths().detach()
    if part.method.adaptive:
        spreads = [mean_and_std(one, per_channel=theta.ndim == 2)[1] for one in u]
        widths = part.method.adapted_width(torch.stack(spreads), theta)
    near = [
        (u[t] - stepwise.spread(theta[t], u[t])).abs() < stepwise.spread(widths[t], u[t]) / 2 for t in range(u.shape[0])
    ]
    rate, inside, threshold, width = (
        [float(step.float().mean()) for step in steps] for steps in (spikes, near, theta, widths)
    )
    return Activity(rate, inside, threshold, width)
