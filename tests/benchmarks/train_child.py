"""One training step of one network, measured in its own process; prints seconds and peak memory as JSON.

``python train_child.py NETWORK VARIANT``: VARIANT is plain (step by step in PyTorch, as the papers' codes compute),
float32 or bf16 (spikeport's).
"""

import importlib.util
import json
import resource
import sys
import time
from pathlib import Path

import torch
from torch import nn

from spikeport.train import Neuron, TdBatchNorm
from spikeport.train.layers import Conv2d
from spikeport.train.loop import train_step
from spikeport.train.recipe import parse
from spikeport_models.networks import build

_SPEC = importlib.util.spec_from_file_location("reference", Path(__file__).parents[1] / "train" / "reference.py")
equations = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(equations)

NETWORKS = {"resnet19": ((3, 32, 32), 2), "vggsnn": ((2, 48, 48), 10)}
STEPS = 3


class PlainNeuron(nn.Module):
    """DS-ATGO's neuron, a timestep after the other, in autograd's own operations."""

    def __init__(self, ours):
        super().__init__()
        self.w = ours.w
        self.register_buffer("threshold", ours.threshold)

    def forward(self, x):
        spikes, used = equations.neurons(
            x, torch.sigmoid(self.w), lambda t, u: u.detach().mean() + u.detach().std(),
            lambda t, u, theta: equations.atgo_width(u),
        )  # fmt: skip
        self.threshold.lerp_(torch.stack(used), 0.1)
        return spikes


class Folded(nn.Module):
    """A layer of torch over [T * B, ...]."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        y = self.layer(x.flatten(0, 1))
        return y.reshape(*x.shape[:2], *y.shape[1:])


def plain(module, dense=False):
    """The same network out of torch's layers and plain neurons, with the same numbers."""
    for name, part in list(module.named_children()):
        if isinstance(part, Neuron):
            setattr(module, name, PlainNeuron(part))
        elif isinstance(part, TdBatchNorm):
            norm = (nn.BatchNorm1d if dense else nn.BatchNorm2d)(part.channels)
            setattr(module, name, Folded(norm))
        elif isinstance(part, Conv2d):
            conv = nn.Conv2d(
                part.in_channels, part.out_channels, part.kernel_size, part.stride, part.padding, bias=False
            )
            conv.weight = part.weight
            setattr(module, name, Folded(conv))
        else:
            plain(part, dense="dense" in name)
    return module


def main(network, variant):
    shape, timesteps = NETWORKS[network]
    torch.manual_seed(0)
    module = build(network, input_shape=shape, classes=10, timesteps=timesteps, train_with="ds-atgo").train()
    lead = (timesteps, 8) if network == "vggsnn" else (8,)
    x, y = torch.rand(*lead, *shape), torch.randint(0, 10, (8,))
    module = plain(module) if variant == "plain" else module.to(memory_format=torch.channels_last)
    recipe = parse({"model": "b", "dataset": "b", "network": network, "timesteps": timesteps, "epochs": 1, "lr": 0.01,
                    "precision": "bf16" if variant == "bf16" else "float32"})  # fmt: skip
    optimiser = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)
    seconds, losses = [], []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        losses.append(train_step(module, x, y, optimiser, recipe)[0])
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": min(seconds[1:]), "peak_bytes": peak, "losses": losses}))


if __name__ == "__main__":
    main(*sys.argv[1:])
