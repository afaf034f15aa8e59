"""How a module is run: in evaluation, from the start of a sample, and what one call of it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from torch import nn

from spikeport.findings import fail
from spikeport.tracing.registry import kinds, registered
from spikeport.training.layers import Repeat

#: sample: [B, ...] goes in and all timesteps lie inside · sequence: [T, B, ...] goes in · step: one call a timestep
Forward = Literal["sample", "sequence", "step"]


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


def forward_of(module: nn.Module) -> Forward:
    """What one call of a module does, read from its parts. Raises SP380 where they do not say it."""
    if any(isinstance(part, Repeat) for part in module.modules()):
        return "sample"
    steps = {kind.steps(part) for part in module.modules() if (kind := registered(part))}
    if steps == {"one"}:
        return "step"
    if steps == {"all"}:
        return "sequence"
    names = ", ".join(kinds())
    what = "mixes neurons that take one step and all steps" if steps else "has no neuron that capture knows"
    fail(
        "SP380",
        f"the module {what}",
        where=type(module).__name__,
        mend=f"known neurons: {names}; teach another one with register_neuron",
    )
