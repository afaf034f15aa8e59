"""One training step of one network, measured in its own process; prints seconds and peak memory as JSON.

``python train_child.py NETWORK VARIANT``: VARIANT is plain (step by step in PyTorch, as the papers' codes compute),
unbound (the same, with the steps taken apart once, so that their gradients do not cost T * T), convolutions (what
torch's convolutions alone take, channels-last), or float32 or bf16 (spikeport's, set up as `spikeport train`
does it). Add -bf16 to convolutions for autocast.
"""

import importlib.util
import json
import statistics
import sys
import time
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

from spikeport.process import keep_freed_memory
from spikeport.training import Neuron, TdBatchNorm, objective
from spikeport.training.layers import Conv2d
from spikeport.training.loop import optimiser_for, train_step
from spikeport.training.networks import build
from spikeport.training.recipe import parse
from spikeport_models.networks.blocks import Spiking

_SPEC = importlib.util.spec_from_file_location("reference", Path(__file__).parents[1] / "training" / "reference.py")
equations = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(equations)

#: threads that turn while they wait take a step of 40 ms to a second where other programs have the processors
LONGEST, FEWEST = 10.0, 3  # seconds, steps
#: input, steps, batch, options, and how often a step is timed
NETWORKS = {
    "resnet19": ((3, 32, 32), 2, 8, {}, 3),
    "vggsnn": ((2, 48, 48), 10, 8, {}, 3),
    "conv": ((1, 8, 8), 4, 64, {"channels": [16, 32], "strides": [1, 2], "hidden": 64}, 200),  # digits-conv
}


class Steps(tuple):
    """[T, ...] taken apart: x[t] is then no operation of its own."""

    def __new__(cls, x):
        return super().__new__(cls, x.unbind(0))

    @property
    def shape(self):
        return (len(self), *self[0].shape)


class PlainNeuron(nn.Module):
    """DS-ATGO's neuron, a timestep after the other, in autograd's own operations."""

    unbound = False

    def __init__(self, ours):
        super().__init__()
        self.w = ours.w
        self.register_buffer("threshold", ours.threshold)

    def forward(self, x):
        spikes, used = equations.neurons(
            Steps(x) if self.unbound else x,
            torch.sigmoid(self.w),
            lambda t, u: u.detach().mean() + u.detach().std(),
            lambda t, u, theta: equations.atgo_width(u),
        )
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
        if isinstance(part, Spiking):
            part = nn.Sequential(OrderedDict(part.named_children()))
            setattr(module, name, part)
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


def convolutions(module, x, half):
    """Run once to see the convolutions' inputs; returns what does them all again, forward and backward."""
    seen = []
    layers = [part for part in module.modules() if isinstance(part, Conv2d)]
    handles = [part.register_forward_hook(lambda part, x, y: seen.append((part, x[0], y))) for part in layers]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        module(x)
    for handle in handles:
        handle.remove()
    calls = []
    for part, x, y in seen:
        steps = slice(0, 1) if x.stride(0) == 0 else slice(None)  # an image that repeats is convolved once
        kind = torch.bfloat16 if half else torch.float32
        x, y = (v[steps].flatten(0, 1).to(kind).contiguous(memory_format=torch.channels_last) for v in (x, y))
        calls.append((part, x, torch.randn_like(y), part.weight.detach().to(kind)))

    def run():
        for number, (part, x, g, w) in enumerate(calls):
            torch.nn.functional.conv2d(x, w, None, part.stride, part.padding)
            torch.ops.aten.convolution_backward(
                g, x, w, [0], part.stride, part.padding, [1, 1], False, [0, 0], 1, [number > 0, True, False]
            )

    return run


def prepared(network, variant):
    """One step, as a function."""
    shape, timesteps, batch, options, _ = NETWORKS[network]
    torch.manual_seed(0)
    about = {"input_shape": shape, "classes": 10, "timesteps": timesteps, "options": options}
    module = build(network, train_with="ds-atgo", **about).train()
    lead = (timesteps, batch) if network == "vggsnn" else (batch,)
    x, y = torch.rand(*lead, *shape), torch.randint(0, 10, (batch,))
    recipe = parse(
        {
            "model": "b",
            "dataset": "b",
            "network": network,
            "timesteps": timesteps,
            "epochs": 1,
            "lr": 0.01,
            "weight_decay": 0.0,
            "precision": "bf16" if variant == "bf16" else "float32",
        }
    )
    if variant in ("plain", "unbound"):
        PlainNeuron.unbound = variant == "unbound"
        module = plain(module)
        optimiser = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)
    else:
        keep_freed_memory()
        module = module.to(memory_format=torch.channels_last)
        if variant.startswith("convolutions"):
            return convolutions(module, x, variant.endswith("bf16"))
        optimiser = optimiser_for(module, recipe)
    wanted = objective.of_recipe(recipe)  # once a training
    return lambda: train_step(module, x, y, optimiser, recipe, wanted=wanted)


def timed(step, most):
    """Seconds, and processor time, of ``most`` steps after the first, or of fewer where they take long.

    At least `FEWEST`. With one thread processor time is what a step takes whatever else the machine does.
    """
    step()
    seconds, processor, end = [], [], time.perf_counter() + LONGEST
    while len(seconds) < most and (len(seconds) < FEWEST or time.perf_counter() < end):
        start, begun = time.perf_counter(), time.process_time()
        step()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - begun)
    return seconds, processor


def peak():
    """Bytes of resident memory at most. getrusage says those of the process that started this one, if it had more."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def main(network, variant):
    seconds, processor = timed(prepared(network, variant), NETWORKS[network][-1])
    times = {"seconds": min(seconds), "median": statistics.median(seconds), "processor": min(processor)}
    print(json.dumps({**times, "peak_bytes": peak()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
