"""A small convolutional network: spiking convolutions, one spiking dense layer, and a readout."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from spikeport.findings import require
from spikeport.training.layers import AvgPool2d, Flatten, Linear, Readout, Repeat, start_weights
from spikeport.training.methods import Method
from spikeport_models.networks.blocks import spiking_conv, spiking_linear


def conv(
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    method: Method,
    *,
    channels: Sequence[int] = (16, 32),
    strides: Sequence[int] = (1, 2),
    kernels: Sequence[int] | None = None,
    hidden: int = 64,
    pool: int = 1,
    events: bool = False,
    neuron: str = "plif",
    reset: str = "zero",
    detach_reset: bool = False,
    train_threshold: bool = False,
    width: float = 1.0,
) -> nn.Module:
    """Convolutions with tdBN and neurons, then Linear-tdBN-neurons, then Linear and the mean over time.

    ``channels``, ``strides`` and ``kernels`` (3 each by default) have one entry a convolution; ``pool`` averages
    windows of that size before the dense layer; ``width`` multiplies ``channels`` and ``hidden``; ``events`` takes
    [T, B, C, H, W] instead of [B, C, H, W].
    """
    cells = {"neuron": neuron, "reset": reset, "detach_reset": detach_reset, "train_threshold": train_threshold}
    kernels = (3,) * len(channels) if kernels is None else kernels
    require(
        len(channels) == len(strides) == len(kernels),
        "SP314",
        f"{len(channels)} channels, {len(strides)} strides and {len(kernels)} kernels",
        mend="give one stride and one kernel a convolution",
    )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if not events:
        layers["repeat"] = Repeat(timesteps)
    inputs, *size = input_shape
    for number, (wanted, stride, kernel) in enumerate(zip(channels, strides, kernels, strict=True), 1):
        outputs = max(1, round(wanted * width))
        layers[f"conv{number}"] = spiking_conv(
            inputs, outputs, method, timesteps, kernel=kernel, stride=stride, **cells
        )
        inputs, size = outputs, [(n - 1) // stride + 1 for n in size]
    if pool > 1:
        layers["pool"] = AvgPool2d(pool)
        size = [n // pool for n in size]
    features = inputs
    for n in size:
        features *= n
    dense = max(1, round(hidden * width))
    layers["flatten"] = Flatten()
    layers["dense"] = spiking_linear(features, dense, method, timesteps, **cells)
    layers["classify"] = Linear(dense, classes)
    layers["readout"] = Readout(timesteps)
    module = nn.Sequential(layers)
    start_weights(module)
    return module
