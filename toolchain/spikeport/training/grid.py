"""Weights on the grid of the integers that they will become."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def to_grid(module: nn.Module, bits: int) -> None:
    """Round every weight of a trained network to mantissas of ``bits`` bits, in place.

    A channel's largest |weight| becomes the largest mantissa, 2**(bits - 1) - 1, and the others whole multiples of the
    same step; the last synapse, whose outputs are compared with one another, has one step for all channels. Steps of
    channels survive folding the normalisation, so quantisation to as many bits loses nothing of the weights. Where
    several synapses feed the same neurons they share a unit, and only the coarsest stays on its grid.
    """
    synapses = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    top = 2 ** (bits - 1) - 1
    for part in synapses:
        weight = part.weight.double()
        axes = tuple(range(weight.ndim)) if part is synapses[-1] else tuple(range(1, weight.ndim))
        step = weight.abs().amax(axes, keepdim=True) / top
        part.weight.copy_(torch.where(step > 0, (weight / step).round() * step, weight))
