"""Normalisations with numbers of their own at each timestep: TEBN and TAB. In a graph they are a `StepAffine`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from spikeport.findings import require
from spikeport.training.methods import Method
from spikeport.training.norm import TdBatchNorm
from spikeport.training.reduce import ranks

NormName = Literal["tdbn", "tebn", "tab"]


class StepNorm(TdBatchNorm):
    """A normalisation whose gain and shift [T, C] follow from mean and biased variance [T, C] of a batch's steps."""

    @property
    def timesteps(self) -> int:
        """How many steps it has numbers for."""
        return len(self.learned()[-1])

    def compiled(self, x: Tensor) -> bool:
        """Whether the loops of `fused_steps` take ``x``: one process, its steps, a variance at each of them."""
        return ranks() == 1 and self.timesteps == len(x) and x[0].numel() > x.shape[2]

    def learned(self) -> tuple[Tensor, ...]:
        """The parameters that `affine` takes, the last one [T]."""
        raise NotImplementedError

    def affine(self, mean: Tensor, var: Tensor, *learned: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and shift of each step and channel."""
        raise NotImplementedError

    def follow_steps(self, mean: Tensor, var: Tensor, values: int) -> None:
        """Move the running estimates towards a batch's, which had so many ``values`` a step and channel."""
        raise NotImplementedError


class Tebn(StepNorm):
    """TEBN over [T, B, C, ...]: tdBN, then a learned factor a timestep, ``y[t] = factor[t] * tdBN(x)[t]``.

    Factors start at 1. Source: Duan et al., NeurIPS 2022, and their code (models.py). Raises SP310 for another T.
    """

    def __init__(self, channels: int, method: Method, timesteps: int) -> None:
        super().__init__(channels, method)
        self.factor = nn.Parameter(torch.ones(timesteps))

    def forward(self, x: Tensor) -> Tensor:
        _require_steps(x, self.factor)
        return super().forward(x) * _a_step(self.factor, x)

    def learned(self) -> tuple[Tensor, ...]:
        return self.weight, self.bias, self.factor

    def affine(self, mean: Tensor, var: Tensor, *learned: Tensor) -> tuple[Tensor, Tensor]:
        weight, bias, factor = learned
        centre, spread = _over_steps(mean, var)
        gain = weight * self.scale * torch.rsqrt(spread + self.eps)
        return factor[:, None] * gain, factor[:, None] * (bias - centre * gain)

    @torch.no_grad()
    def follow_steps(self, mean: Tensor, var: Tensor, values: int) -> None:
        centre, spread = _over_steps(mean, var)
        count = values * len(mean)
        self.follow(centre, spread * (count / (count - 1)))


class Tab(StepNorm):
    """TAB over [T, B, C, ...]: each step is normalised by the statistics of all steps up to it.

        y[t] = p[t]**2 * (weight[t] * scale * (x[t] - mean[t]) / sqrt(var[t] + eps) + bias[t])
        mean[t], var[t] of x[0], ..., x[t], a channel; biased in training, unbiased in the running estimate

    Weight, bias and both estimates are [T, C], p is [T] and starts at 1. Source: Jiang et al., ICLR 2024, and their
    code (models.py), which has T batch normalisations; momentum 0.1 and eps 1e-5 are theirs.
    Raises SP310 for another T, SP316 where several processes train together.
    """

    def __init__(self, channels: int, method: Method, timesteps: int) -> None:
        super().__init__(channels, method)
        self.p = nn.Parameter(torch.ones(timesteps))
        self.weight = nn.Parameter(self.weight.detach().repeat(timesteps, 1))
        self.bias = nn.Parameter(self.bias.detach().repeat(timesteps, 1))
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, getattr(self, name).repeat(timesteps, 1))

    def forward(self, x: Tensor) -> Tensor:
        _require_steps(x, self.p)
        if not self.training:
            gain, shift = self._affine(self.running_mean, self.running_var, *self.learned())
        else:
            require(ranks() == 1, "SP316", "TAB trains in one process", mend='norm = "tebn", or leave torchrun out')
            var, mean = torch.var_mean(x, (1, *range(3, x.ndim)), correction=0)
            gain, shift = self.affine(mean, var, *self.learned())
            self.follow_steps(mean, var, x[0].numel() // x.shape[2])
        return x * _a_step(gain, x) + _a_step(shift, x)

    def learned(self) -> tuple[Tensor, ...]:
        return self.weight, self.bias, self.p

    def affine(self, mean: Tensor, var: Tensor, *learned: Tensor) -> tuple[Tensor, Tensor]:
        return self._affine(*_so_far(mean, var), *learned)

    def _affine(self, mean: Tensor, var: Tensor, *learned: Tensor) -> tuple[Tensor, Tensor]:
        weight, bias, p = learned
        factor = p.square()[:, None]
        gain = factor * weight * self.scale * torch.rsqrt(var + self.eps)
        return gain, factor * bias - mean * gain

    @torch.no_grad()
    def follow_steps(self, mean: Tensor, var: Tensor, values: int) -> None:
        so_far, spread = _so_far(mean, var)
        counts = values * torch.arange(1, len(mean) + 1, device=mean.device, dtype=mean.dtype)[:, None]
        self.running_mean.lerp_(so_far.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_((spread * counts / (counts - 1)).to(self.running_var.dtype), self.momentum)


def _over_steps(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance [C] over all steps, from those of each step [T, C]."""
    centre = mean.mean(0)
    return centre, (var + (mean - centre).square()).mean(0)


def _so_far(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance [T, C] of all steps up to each, from those of each step."""
    steps = torch.arange(1, len(mean) + 1, device=mean.device, dtype=mean.dtype)[:, None]
    apart = mean - mean[:1].detach()  # so that squares of large means do not cancel
    shift = apart.cumsum(0) / steps
    return shift + mean[:1].detach(), (var + apart.square()).cumsum(0) / steps - shift.square()


def norm_of(name: NormName, channels: int, method: Method, timesteps: int) -> TdBatchNorm:
    """The normalisation that a network's option ``norm`` names."""
    if name == "tdbn":
        return TdBatchNorm(channels, method)
    return (Tebn if name == "tebn" else Tab)(channels, method, timesteps)


def _require_steps(x: Tensor, schedule: Tensor) -> None:
    what = f"the normalisation has numbers for {len(schedule)} timesteps, the input has {x.shape[0]}"
    require(len(schedule) == x.shape[0], "SP310", what, mend="run the steps that the model was trained with")


def _a_step(schedule: Tensor, x: Tensor) -> Tensor:
    """[T] or [T, C], so that it broadcasts over [T, B, C, ...]."""
    if schedule.ndim == 1:
        return schedule.reshape(-1, *(1,) * (x.ndim - 1))
    return schedule.reshape(len(schedule), 1, -1, *(1,) * (x.ndim - 3))
