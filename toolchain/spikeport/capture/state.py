"""A module as it is in evaluation, at the start of a sample."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from spikeport.capture.registry import registered


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode and at the start of a sample, as it was afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    reset(module)
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        reset(module)


def reset(module: nn.Module) -> None:
    """Bring every neuron that keeps a state back to the start of a sample."""
    for part in module.modules():
        if kind := registered(part):
            kind.reset(part)
