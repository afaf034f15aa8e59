"""The dynamics of a layer on the CPU through the compiled loops of `kernels`; `dynamics` says what is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeport.threads import over_parts
from spikeport.train import kernels
from spikeport.train.reduce import mean_and_std_of_sums
from spikeport.train.rules import Rules

FLOATS = (torch.float32, torch.float64, torch.bfloat16)


def applies(x: Tensor, threshold: Tensor, rules: Rules) -> bool:
    """Whether the compiled loops can take this layer: on the CPU, one threshold a step, rectangular surrogate."""
    return (
        x.device.type == "cpu"
        and x.dtype in FLOATS
        and threshold.ndim == 1
        and rules.method.compiled
        and x.numel() > 0
        and not torch.compiler.is_compiling()
        and type(x) in (Tensor, torch.nn.Parameter)
    )


def dense(x: Tensor) -> Tensor:
    """``x`` [T, B, ...] so that each step is one block of memory (channels-last stays), steps may repeat."""
    one = x[0]
    whole = one.is_contiguous() or (one.ndim == 4 and one.is_contiguous(memory_format=torch.channels_last))
    if whole and (x.shape[0] == 1 or x.stride(0) in (0, one.numel())):
        return x
    return x.contiguous()


def flat(x: Tensor) -> NDArray[Any]:
    """[T, n] in memory order, or [1, n] where all steps share memory, without a copy; bfloat16 as its bits."""
    count = x[0].numel()
    steps = 1 if x.stride(0) == 0 else x.shape[0]
    view = x.detach().as_strided((steps, count), (count, 1))
    bits = view.view(torch.uint16) if view.dtype == torch.bfloat16 else view
    array: NDArray[Any] = bits.numpy()
    return array


def like(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Empty, of the shape of ``x`` and the memory order of its steps, also where the steps of ``x`` share memory."""
    return torch.empty_strided(x.shape, (x[0].numel(), *x.stride()[1:]), dtype=dtype)


def forward(x: Tensor, decay: Tensor, threshold: Tensor, rules: Rules, keep: bool) -> tuple[Tensor, Tensor]:
    """Spikes and, where ``keep``, membranes before the reset (else one number) for given thresholds [T]."""
    spikes = like(x, x.dtype)
    u = like(x, threshold.dtype) if keep else torch.empty(1, 1, dtype=threshold.dtype)
    a, s, m = flat(x), flat(spikes), flat(u)
    beta, theta = decay.detach().numpy()[()], threshold.detach().numpy()
    over_parts(lambda lo, hi: kernels.forward(a, m, s, beta, theta, rules.by_zero, keep, lo, hi), a.shape[1])
    return spikes, u


def forward_adapting(
    x: Tensor, decay: Tensor, threshold: Tensor, rules: Rules
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membranes before the reset, and the thresholds and widths that `method.adapt` set, [T] each."""
    spikes, u = like(x, x.dtype), like(x, threshold.dtype)
    a, s, m = flat(x), flat(spikes), flat(u)
    beta, below = decay.detach().numpy()[()], m.dtype.type(0)
    thresholds, widths = torch.empty_like(threshold), torch.empty_like(threshold)
    head = x.detach()
    while head.ndim > 1:
        head = head[:, 0]
    current = head.to(threshold.dtype).numpy()  # [T], what the first neuron gets
    for t in range(x.shape[0]):
        shift = current[t]
        if t > 0:
            past = m[t - 1, 0]
            left = past if past < below else past * 0 if rules.by_zero else past - below
            shift = current[t] + left * beta

        def step(lo: int, hi: int, t: int = t, below: Any = below, shift: Any = shift) -> tuple[float, float]:
            sums: tuple[float, float]
            if t == 0:
                sums = kernels.first(a, m, shift, lo, hi)
            else:
                sums = kernels.step(a, m, s, beta, below, shift, rules.by_zero, t, lo, hi)
            return sums

        sums = np.sum(over_parts(step, a.shape[1]), axis=0)
        mean, std = mean_and_std_of_sums(a.shape[1], float(sums[0]), float(sums[1]), float(shift))
        thresholds[t], widths[t] = rules.method.adapt(mean.to(threshold.dtype), std.to(threshold.dtype))
        below = thresholds[t].numpy()[()]
    over_parts(lambda lo, hi: kernels.last(m, s, below, lo, hi), a.shape[1])
    return spikes, u, thresholds, widths


def backward(
    grad: Tensor, u: Tensor, decay: Tensor, thresholds: Tensor, widths: Tensor, rules: Rules
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the input, the decay [] and the thresholds [T]."""
    grad = _ordered(grad, u)
    g_x = like(u, grad.dtype)
    g, m, out = flat(grad), flat(u), flat(g_x)
    beta, theta, width = decay.numpy()[()], thresholds.numpy(), widths.numpy()

    def part(lo: int, hi: int) -> NDArray[np.float64]:
        sums = np.zeros(1 + u.shape[0])
        kernels.backward(g, m, out, beta, theta, width, rules.by_zero, rules.detach_reset, sums, lo, hi)
        return sums

    total = torch.from_numpy(np.sum(over_parts(part, m.shape[1]), axis=0)).to(u.dtype)
    return g_x, total[0], total[1:]


def _ordered(grad: Tensor, u: Tensor) -> Tensor:
    """``grad`` in the memory order of ``u``; steps that share memory (an expanded gradient) may stay so."""
    if grad[0].stride() == u[0].stride() and (grad.shape[0] == 1 or grad.stride(0) in (0, u[0].numel())):
        return grad
    return like(u, grad.dtype).copy_(grad)
