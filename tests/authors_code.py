"""The seed authors' public code, restated from its equations: key names, forward pass in float64, files of theirs.

Key names are written out here, from MPD-AGL's models/ResNet19.py and models/VGGSNN.py (61abbf3) and DS-ATGO's
network_model/ResNet19.py and layers.py (333ad21), so that no table of the importer can vouch for itself.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

T = 3

#: (synapse, neuron, channels in units of the first layer's, kernel, stride) of the blocks, as they are called
BLOCKS = (
    (
        ("ResNetBlocks.0.0.conv1", "ResNetBlocks.0.0.spike1", 1, 3, 1),
        ("ResNetBlocks.0.0.conv2", "ResNetBlocks.0.0.spike2", 1, 3, 1),
    ),
    (
        ("ResNetBlocks.1.0.conv1", "ResNetBlocks.1.0.spike1", 1, 3, 1),
        ("ResNetBlocks.1.0.conv2", "ResNetBlocks.1.0.spike2", 1, 3, 1),
    ),
    (
        ("ResNetBlocks.2.0.conv1", "ResNetBlocks.2.0.spike1", 1, 3, 1),
        ("ResNetBlocks.2.0.conv2", "ResNetBlocks.2.0.spike2", 1, 3, 1),
    ),
    (
        ("ResNetBlocks.3.0.conv1", "ResNetBlocks.3.0.spike1", 2, 3, 2),
        ("ResNetBlocks.3.0.conv2", "ResNetBlocks.3.0.spike2", 2, 3, 1),
        ("ResNetBlocks.3.0.downsample.0", "ResNetBlocks.3.0.downsample.1", 2, 1, 2),
    ),
    (
        ("ResNetBlocks.4.0.conv1", "ResNetBlocks.4.0.spike1", 2, 3, 1),
        ("ResNetBlocks.4.0.conv2", "ResNetBlocks.4.0.spike2", 2, 3, 1),
    ),
    (
        ("ResNetBlocks.5.0.conv1", "ResNetBlocks.5.0.spike1", 2, 3, 1),
        ("ResNetBlocks.5.0.conv2", "ResNetBlocks.5.0.spike2", 2, 3, 1),
    ),
    (
        ("ResNetBlocks.6.0.conv1", "ResNetBlocks.6.0.spike1", 4, 3, 2),
        ("ResNetBlocks.6.0.conv2", "ResNetBlocks.6.0.spike2", 4, 3, 1),
        ("ResNetBlocks.6.0.downsample.0", "ResNetBlocks.6.0.downsample.1", 4, 1, 2),
    ),
    (
        ("ResNetBlocks.7.0.conv1", "ResNetBlocks.7.0.spike1", 4, 3, 1),
        ("ResNetBlocks.7.0.conv2", "ResNetBlocks.7.0.spike2", 4, 3, 1),
    ),
)

#: (synapse, neuron, channels in units of the first layer's, whether a 2x2 average pool follows)
VGGSNN = (
    ("encode.0", "encode.1", 1, False),
    ("features.0", "features.1", 2, True),
    ("features.3", "features.4", 4, False),
    ("features.5", "features.6", 4, True),
    ("features.8", "features.9", 8, False),
    ("features.10", "features.11", 8, True),
    ("features.13", "features.14", 8, False),
    ("features.15", "features.16", 8, True),
)

Plan = list[tuple[str, str, tuple[int, ...]]]


def resnet_plan(c=8):
    """Every spiking layer of ResNet-19 with ``c`` channels first: synapse, neuron, weight shape; and the last layer."""
    plan, inputs = [("encode.0", "encode.1", (c, 3, 3, 3))], c
    for block in BLOCKS:
        enters, inside = inputs, inputs
        for synapse, neuron, times, kernel, _ in block:
            source = enters if ".downsample." in synapse else inside
            plan.append((synapse, neuron, (c * times, source, kernel, kernel)))
            inside = inputs = c * times
    plan.append(("fc.0", "fc.1", (2 * c, inputs)))
    return plan, ("fc.2", (10, 2 * c))


def vgg_plan(c=8, side=32):
    """As `resnet_plan`, of VGGSNN for 2 x side x side."""
    plan, inputs = [], 2
    for synapse, neuron, times, _ in VGGSNN:
        plan.append((synapse, neuron, (c * times, inputs, 3, 3)))
        inputs = c * times
    return plan, ("classifier.0", (10, inputs * (side // 16) ** 2))


def random_state(layout, plan, last, seed, *, biases=False, table=False):
    """A state_dict with the authors' keys; ``table``: with the thresholds that DS-ATGO's code leaves out of it."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for synapse, neuron, shape in plan:
        n, fan_in = shape[0], int(np.prod(shape[1:]))
        norm = f"{synapse}.bn.tdBN" if layout == "ds-atgo" else f"{synapse}.bn"
        state[f"{synapse}.layer.weight"] = torch.randn(shape, generator=generator) / fan_in**0.5
        state[f"{norm}.weight"] = torch.rand(n, generator=generator) + 0.5
        state[f"{norm}.bias"] = torch.rand(n, generator=generator) - 0.3
        state[f"{norm}.running_mean"] = torch.randn(n, generator=generator) * 0.1
        state[f"{norm}.running_var"] = torch.rand(n, generator=generator) + 0.2
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
        state[f"{neuron}.neuron.w"] = torch.randn((), generator=generator)
        if biases and len(shape) == 2:
            state[f"{synapse}.layer.bias"] = torch.randn(n, generator=generator)
        if table:
            state[f"{neuron}.neuron.running_threshold"] = torch.rand(T, generator=generator) + 0.1
    name, shape = last
    state[f"{name}.layer.weight"] = torch.randn(shape, generator=generator)
    if biases:
        state[f"{name}.layer.bias"] = torch.randn(shape[0], generator=generator)
    return state


class Theirs:
    """What the public code computes in evaluation, in float64. ``theta``: V_th, or None for the table in the state."""

    def __init__(self, state, layout, theta=None, strict=False):
        self.s = {key: value.double() for key, value in state.items()}
        self.deep = ".tdBN" if layout == "ds-atgo" else ""
        self.factor = 1.0 if layout == "ds-atgo" else 0.5  # tdBN's alpha * V_th; in gamma there
        self.theta, self.strict = theta, strict

    def layer(self, x, synapse, neuron, stride=1):
        """x [T, B, ...] -> spikes."""
        weight, bias = self.s[f"{synapse}.layer.weight"], self.s.get(f"{synapse}.layer.bias")
        flat = x.flatten(0, 1)
        if weight.ndim == 4:
            y = F.conv2d(flat, weight, bias, stride, padding=weight.shape[-1] // 2)
        else:
            y = F.linear(flat, weight, bias)
        gamma, beta, mean, var = (
            self.s[f"{synapse}.bn{self.deep}.{k}"].reshape(1, -1, *(1,) * (y.ndim - 2))
            for k in ("weight", "bias", "running_mean", "running_var")
        )
        y = (self.factor * (y - mean) / torch.sqrt(var + 1e-5) * gamma + beta).unflatten(0, x.shape[:2])
        tau, u, spikes = torch.sigmoid(self.s[f"{neuron}.neuron.w"]), 0.0, []
        for t in range(len(y)):
            theta = self.s[f"{neuron}.neuron.running_threshold"][t] if self.theta is None else self.theta
            u = tau * u + y[t]
            s = (u > theta if self.strict else u >= theta).double()
            u = u * (1 - s)
            spikes.append(s)
        return torch.stack(spikes)

    def last(self, x, name):
        """The mean over time of the last currents."""
        return F.linear(x, self.s[f"{name}.layer.weight"], self.s.get(f"{name}.layer.bias")).mean(0)

    def resnet(self, image):
        """image [B, 3, H, W] -> [B, classes]."""
        x = self.layer(image.expand(T, *image.shape), "encode.0", "encode.1")
        for first, second, *skip in BLOCKS:
            out = self.layer(x, *first[:2], first[4])
            out = self.layer(out, *second[:2], second[4])
            x = out + (self.layer(x, *skip[0][:2], skip[0][4]) if skip else x)
        return self.last(self.layer(x.mean((-2, -1)), "fc.0", "fc.1"), "fc.2")

    def vgg(self, x):
        """Frames [T, B, 2, H, W] -> [B, classes]."""
        for synapse, neuron, _, pool in VGGSNN:
            x = self.layer(x, synapse, neuron)
            if pool:
                x = F.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
        return self.last(x.flatten(2), "classifier.0")
