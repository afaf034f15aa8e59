"""Neurons of a GPU and the tdBN before them, behind one door; `fused` is the CPU's.

Kernels are Triton's, so they are loaded only when a layer is first run. Where they do not serve, `stepwise` does.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from spikeport.engine.cuda import missing
from spikeport.training.fused import Norm
from spikeport.training.memory import rows_of_channels
from spikeport.training.rules import Rules

__all__ = ["applies", "fire", "normalise_and_fire"]

VALUES = 2**31  #: of a step: the kernels count them in 32 bits
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def applies(x: Tensor, threshold: Tensor, rules: Rules) -> bool:
    """Whether the kernels can take this layer: on a GPU, rectangular surrogate, a known order of memory.

    ``SPIKEPORT_KERNELS=triton`` takes them on a CPU as well, in Triton's interpreter; ``plain`` takes them nowhere.
    """
    asked = os.environ.get("SPIKEPORT_KERNELS", "")
    return (
        (x.is_cuda or asked == "triton")
        and asked != "plain"
        and x.dtype in FLOATS
        and rules.compiled
        and 0 < x.numel() < VALUES * len(x)
        and (threshold.ndim == 1 or rows_of_channels(x))
        and not torch.compiler.is_compiling()
        and type(x) in (Tensor, torch.nn.Parameter)
        and not missing()
    )


def fire(x: Tensor, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """As `dynamics.fire`."""
    from spikeport.training.cuda.layer import Fire

    spikes, used, *_ = Fire.apply(x, decay, threshold, width, None, None, None, rules)
    return spikes, used


def normalise_and_fire(
    x: Tensor, weight: Tensor, bias: Tensor, norm: Norm, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `fused.normalise_and_fire`."""
    from spikeport.training.cuda.layer import Fire

    spikes, used, mean, var = Fire.apply(x, decay, threshold, width, weight, bias, norm, rules)
    return spikes, used, mean, var
