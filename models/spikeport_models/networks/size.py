"""How large a network is: parameters, multiply-adds and spiking neurons of one timestep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikeport.training.layers import Repeat
from spikeport.training.neurons import Neuron


@dataclass(frozen=True, slots=True)
class Size:
    """Counts of a network; `macs` and `neurons` of one sample and one timestep, padding included."""

    parameters: int
    macs: int
    neurons: dict[str, int]  #: of each spiking layer


def size_of(module: nn.Module, input_shape: tuple[int, ...]) -> Size:
    """Count by running one sample of zeros ([C, H, W]) in evaluation mode."""
    macs: dict[str, int] = {}
    neurons: dict[str, int] = {}

    def watch(name: str) -> Any:
        def hook(part: nn.Module, inputs: Any, output: Tensor) -> None:
            count = output[0].numel() if output.ndim == 2 else output[0, 0].numel()  # a step, or all of them
            if isinstance(part, nn.Conv2d):
                macs[name] = count * part.weight[0].numel()
            elif isinstance(part, nn.Linear):
                macs[name] = count * part.in_features
            elif isinstance(part, Neuron):
                neurons[name] = count

        return hook

    handles = [part.register_forward_hook(watch(name)) for name, part in module.named_modules()]
    training = module.training
    first = next(part for part in module.modules() if isinstance(part, Neuron))
    direct = any(isinstance(part, Repeat) for part in module.modules())
    lead = (1,) if direct else (first.timesteps, 1)
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(*lead, *input_shape))
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return Size(sum(p.numel() for p in module.parameters()), sum(macs.values()), neurons)
