"""Sequences of unequal length in a training: the readout of each sample at its own last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from spikeport.findings import Finding, fail
from spikeport.training.layers import Readout
from spikeport.training.membrane_norm import MembraneNorm
from spikeport.training.neurons import Neuron
from spikeport.training.norm import TdBatchNorm
from spikeport.training.recipe import Recipe
from spikeport.training.step_norms import Tab


def at_ends(weight: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
    """``sum_{t < L} weight[T - L + t] * x[t]`` of each sample, L its length: the last weight meets its last step.

    ``weight`` [T], or [T, ...] that broadcasts over ``x`` [T, B, ...] without its batch; ``lengths`` [B] from 1 to T;
    the result is [B, ...].
    """
    steps = len(weight)
    at = torch.arange(steps, device=x.device)[:, None] + steps - lengths
    each = weight.to(x.dtype).reshape(*weight.shape, *(1,) * (x.ndim - 1 - weight.ndim))
    counts = (at < steps).reshape(*at.shape, *(1,) * (x.ndim - 2))
    return (torch.where(counts, each[at.clamp(max=steps - 1)], x.new_zeros(())) * x).sum(0)


def check_ends(module: nn.Module, recipe: Recipe) -> Finding | None:
    """SP325: whose statistics see the steps behind samples' ends.

    Raises SP324 for a loss or a readout that sees every step.
    """
    every = [f"the loss {recipe.loss!r}"] if recipe.loss not in ("ce", "mse") else []
    every += [f"the loss {name!r}" for name in recipe.also if name != "mpd-sgr"]
    every += [
        f"the method {recipe.method!r}, whose readout learns a weight a step"
        for part in module.modules()
        if isinstance(part, Neuron) and part.method.learns_readout
    ][:1]
    if every:
        mend = "use the losses ce or mse, which see what is read out at each sample's own last step"
        fail("SP324", f"{every[0]} looks at all steps, and samples end at different ones", mend=mend)
    blind = sorted({type(part).__name__ for part in module.modules() if _sees_padding(part)})
    if not blind:
        return None
    what = f"the statistics of {' and '.join(blind)} also see the zeros behind samples' ends"
    return Finding("SP325", what, mend='norm = "tdbn" or "tebn", whose do not', severity="note")


def _sees_padding(part: nn.Module) -> bool:
    """Whether its statistics take all steps alike."""
    return isinstance(part, Tab | MembraneNorm | nn.modules.batchnorm._BatchNorm)


def readable(module: nn.Module) -> bool:
    """Whether it has the one `Readout` that can be read before the last step."""
    return len(_readouts(module)) == 1


def _readouts(module: nn.Module) -> list[Readout]:
    return [part for part in module.modules() if isinstance(part, Readout)]


@contextmanager
def reading(module: nn.Module, lengths: Tensor | int | None) -> Iterator[None]:
    """While this is open, the module's readout reads each sample at its own last step; ``lengths`` [B], or of all.

    In training thresholds that adapt, and normalisations, take nothing from the steps behind.

    Raises SP246 for a module without exactly one `Readout`.
    """
    if lengths is None:
        yield
        return
    if not readable(module):
        what = "its module has no readout that can be read before the last step"
        mend = "give it one spikeport.training.Readout behind its last layer, as every recipe's network has"
        fail("SP246", what, where=type(module).__name__, mend=mend)
    (readout,) = _readouts(module)

    def read(part: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> Tensor:
        assert isinstance(part, Readout)
        ends = torch.as_tensor(lengths, device=inputs[0].device).expand(inputs[0].shape[1])
        return at_ends(part.weight, inputs[0], ends)

    handle = readout.register_forward_hook(read)
    minding = [part for part in module.modules() if isinstance(part, Neuron | TdBatchNorm)]
    for part in minding:
        part.ends = lengths if isinstance(lengths, Tensor) else None
    try:
        yield
    finally:
        handle.remove()
        for part in minding:
            part.ends = None
