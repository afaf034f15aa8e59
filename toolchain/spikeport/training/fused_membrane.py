"""MPBN's neurons on the CPU in compiled loops: one walk a step forward, two backward.

What a normalisation of membranes needs of the whole batch lies between two walks: forward the sums of a step's
membranes, from which its thresholds follow, a channel; backward the sums of their gradients. The equations are those
of `membrane_norm`; the membranes are kept, for none can be computed again without those sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikeport.threads import over_parts
from spikeport.training.fused import QUIET
from spikeport.training.memory import flat, like, ordered
from spikeport.training.rows import Rows

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is constant in a layer: threshold and surrogate width of normalised membranes, and the norm's eps."""

    threshold: float
    width: float
    eps: float


@cache
def _loops() -> Any:
    """The loops, when the first of them is needed."""
    from spikeport.training import membrane_loops

    return membrane_loops


def fire(x: Tensor, decay: Tensor, gain: Tensor, bias: Tensor, fixed: Fixed) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, and mean and unbiased variance [T, C] (float64) of the membranes of each step.

    ``x`` [T, B, C, ...], each step in `memory.rows_of_channels`; steps may share theirs. ``gain`` > 0 and ``bias`` [C]
    of the normalisation.
    """
    return _Fire.apply(x, decay, gain, bias, fixed)  # type: ignore[no-any-return,no-untyped-call]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the forward pass leaves: membranes [T, n]; thresholds, means and deviations [T, C] in float64."""

    u: Array
    thresholds: Array
    means: Array
    stds: Array


class _Fire(torch.autograd.Function):
    @staticmethod
    @QUIET
    def forward(ctx: Any, x: Tensor, decay: Tensor, gain: Tensor, bias: Tensor, fixed: Fixed) -> tuple[Tensor, ...]:
        state = torch.promote_types(x.dtype, torch.float32)
        beta, spikes = decay.to(state), like(x, x.dtype)
        a, s, channels = flat(x), flat(spikes), x.shape[2]
        u = np.empty(s.shape, beta.numpy().dtype)
        count, scale, shift = a.shape[1] / channels, gain.detach().double().numpy(), bias.detach().double().numpy()
        thresholds, means, variances = (np.empty((len(s), channels)) for _ in range(3))
        centre = x.detach().as_strided((channels,), (1,)).double().numpy()  # values of these channels, near their mean
        for t in range(len(s)):
            before = max(t - 1, 0)
            rows = Rows.of(0.0, thresholds[before] if t else 0.0, centre, u.dtype)

            def charge(lo: int, hi: int, t: int = t, before: int = before, rows: Rows = rows) -> Array:
                sums, below = rows.sums(2), rows.shift[0]
                _loops().charge(
                    a[min(t, len(a) - 1)],
                    u[t],
                    u[before],
                    s[before],
                    below,
                    rows.mean,
                    sums,
                    beta.numpy()[()],
                    t == 0,
                    lo,
                    hi,
                )
                return sums

            apart, squares = rows.by_channel(over_parts(charge, a.shape[1], step=rows.block)) / count
            means[t], variances[t] = centre + apart, np.maximum(squares - apart**2, 0)
            thresholds[t] = (fixed.threshold - shift) * np.sqrt(variances[t] + fixed.eps) / scale + means[t]
            centre = means[t]
        rows = Rows.of(0.0, thresholds[-1], centre, u.dtype)
        over_parts(lambda lo, hi: _loops().last(u[-1], s[-1], rows.shift[0], lo, hi), a.shape[1], step=rows.block)
        ctx.save_for_backward(x, beta, gain)
        ctx.seen, ctx.fixed = _Seen(u, thresholds, means, np.sqrt(variances + fixed.eps)), fixed
        statistics = torch.from_numpy(means), torch.from_numpy(variances * (count / (count - 1)))
        ctx.mark_non_differentiable(*statistics)
        return spikes, *statistics

    @staticmethod
    @once_differentiable
    @QUIET
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, beta, gain = ctx.saved_tensors
        seen, grad = ctx.seen, ordered(grad, x)
        g_x = like(x, grad.dtype)
        g, out, u = flat(grad), flat(g_x), seen.u
        count, steps = u.shape[1] / x.shape[2], len(u)
        carried, g_y = np.zeros(u.shape[1], u.dtype), np.empty(u.shape[1], u.dtype)  # of v[t], and of y[t]
        by_decay, by_gain, by_bias = 0.0, np.zeros(x.shape[2]), np.zeros(x.shape[2])
        for t in range(steps - 1, -1, -1):
            std, before = seen.stds[t], max(t - 1, 0)
            slope = gain.detach().double().numpy() / std
            rows = Rows.of(slope, seen.thresholds[t], seen.means[t], u.dtype)

            def towards(lo: int, hi: int, t: int = t, rows: Rows = rows) -> Array:
                sums, width = rows.sums(2), u.dtype.type(ctx.fixed.width)
                at = min(t, len(g) - 1)
                _loops().towards(
                    g[at], u[t], carried, g_y, rows.scale[0], rows.shift[0], rows.mean, width, sums, lo, hi
                )
                return sums

            plain, crossed = rows.by_channel(over_parts(towards, u.shape[1], step=rows.block))
            by_bias += plain
            by_gain += crossed / std
            tilt, shift = -slope * crossed / (count * std**2), -slope * plain / count
            others = Rows.of(tilt, shift, seen.thresholds[before], u.dtype)

            def through(
                lo: int, hi: int, t: int = t, before: int = before, rows: Rows = rows, o: Rows = others
            ) -> float:
                numbers = rows.scale[0], rows.shift[0], rows.mean, o.scale[0], o.shift[0], o.mean
                args = u[t], u[before], g_y, carried, out[t], *numbers, beta.numpy()[()]
                return float(_loops().through(*args, lo, hi))

            left = sum(over_parts(through, u.shape[1], step=rows.block))
            by_decay += left if t else 0.0  # nothing is left of a step before the first
        numbers = (torch.tensor(by_decay, dtype=torch.float64), torch.from_numpy(by_gain), torch.from_numpy(by_bias))
        return g_x, *(each.to(beta.dtype) for each in numbers), None
