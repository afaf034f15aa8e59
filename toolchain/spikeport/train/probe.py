"""What the neurons of a network do on some samples: who fires, and who is inside the surrogate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeport.train import stepwise
from spikeport.train.neurons import Neuron
from spikeport.train.rules import Rules


@dataclass(frozen=True)
class Activity:
    """One layer; both [T], shares between 0 and 1 of samples x neurons."""

    rate: list[float]  #: neurons that fire
    inside: list[float]  #: membranes less than half a surrogate width from the threshold: they get a gradient


@torch.no_grad()
def activity(module: nn.Module, x: Tensor, *, adapt: bool = False) -> dict[str, Activity]:
    """Activity of each spiking layer in evaluation mode, by name, on the samples ``x``.

    With ``adapt``, layers whose method adapts take thresholds and widths from these samples, as in training; without,
    thresholds are the learned table's, and such layers' widths follow from the samples all the same.
    """
    found: dict[str, Activity] = {}

    def watch(name: str) -> object:
        def hook(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(part, Neuron)
            found[name] = _activity(part, inputs[0], adapt)

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
    return found


def _activity(part: Neuron, x: Tensor, adapt: bool) -> Activity:
    method = part.method
    theta = part.threshold.detach()
    widths = theta if method.adaptive else part.surrogate_widths().detach()
    follows = Rules(method, part.reset, part.detach_reset, adapt=method.adaptive)
    _, _, batch_theta, batch_widths = stepwise.forward(x, part.decay, theta, widths, follows)
    if adapt and method.adaptive:
        theta = batch_theta
    spikes, u, _, _ = stepwise.forward(x, part.decay, theta, batch_widths, Rules(method, part.reset, part.detach_reset))
    near = [(u[t] - stepwise.spread(theta[t], u[t])).abs() < stepwise.spread(batch_widths[t], u[t]) / 2
            for t in range(u.shape[0])]  # fmt: skip
    return Activity([float(s.float().mean()) for s in spikes], [float(n.float().mean()) for n in near])
