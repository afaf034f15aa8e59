"""Networks by name. Each is a function ``(input_shape, classes, timesteps, method, **size) -> nn.Module``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from spikeport.findings import fail
from spikeport.training.catalogue import method
from spikeport.training.methods import Method
from spikeport_models.networks.conv import conv
from spikeport_models.networks.mlp import mlp
from spikeport_models.networks.resnet import resnet19, sew_resnet
from spikeport_models.networks.vgg import vggsnn

Network = Callable[..., nn.Module]

NETWORKS: dict[str, Network] = {
    "conv": conv,
    "mlp": mlp,
    "resnet19": resnet19,
    "vggsnn": vggsnn,
    "sew-resnet18": partial(sew_resnet, depth=18),
    "sew-resnet34": partial(sew_resnet, depth=34),
}


def build(
    network: str,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    train_with: Method | str = "fixed",
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A fresh network. ``input_shape`` is [C, H, W]. Raises SP314 for an unknown network or option."""
    if network not in NETWORKS:
        fail("SP314", f"there is no network {network!r}", mend=f"choose one of: {', '.join(NETWORKS)}")
    maker = NETWORKS[network]
    known = set(inspect.signature(maker).parameters) - {"input_shape", "classes", "timesteps", "method"}
    unknown = sorted(set(options or {}) - known)
    if unknown:
        fail("SP314", f"the network {network!r} has no option {', '.join(unknown)}", mend=f"it has: {', '.join(known)}")
    by = method(train_with) if isinstance(train_with, str) else train_with
    return maker(input_shape=tuple(input_shape), classes=classes, timesteps=timesteps, method=by, **(options or {}))
