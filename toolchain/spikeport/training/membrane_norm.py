"""MPBN: neurons whose membrane is normalised before it is compared with the threshold."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from spikeport.findings import require
from spikeport.training import fused, fused_membrane
from spikeport.training.memory import rows_of_channels, whole
from spikeport.training.methods import Method
from spikeport.training.neurons import PLIF
from spikeport.training.norm import TdBatchNorm
from spikeport.training.reduce import ranks
from spikeport.training.surrogates import slope

SMALLEST = 1e-3  #: of gamma: keeps the folded thresholds finite (ours: the published code divides by gamma as it is)


class MembraneNorm(PLIF):
    """PLIF neurons [T, B, C, ...] with MPBN, a batch normalisation of the membrane, one a layer for all steps.

        u[t] = decay * v[t-1] + x[t]       y[t] = gamma * (u[t] - mean) / sqrt(var + eps) + beta
        s[t] = y[t] >= V_th                v[t] = 0 where s[t], else u[t]

    In training mean and var are those of the batch at step t, a channel. Inference has running estimates, and the
    normalisation is folded into thresholds a channel, ``(V_th - beta) * sqrt(var + eps) / gamma + mean``, which are
    what the table, and every exported file, holds. gamma is taken as its absolute value, at least 1e-3 (ours). On a
    CPU a training goes through `fused_membrane`.

    Source: Guo et al., ICCV 2023, and their code; momentum 0.1 and eps 1e-5 as there. Raises SP316 for a method whose
    thresholds or widths follow the membrane, for other resets, gradients and thresholds, and for several processes.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, method: Method, timesteps: int, *, channels: int, decay: float = 0.2, **options: Any) -> None:
        plain = type(method).widths is Method.widths and not (method.adaptive or method.learns_width or method.masked)
        require(plain, "SP316", f"MPBN trains with a fixed surrogate, not by {method.name}", mend='method = "fixed"')
        usual = {"norm": None, "reset": "zero", "detach_reset": False, "train_threshold": False, "gradient": "bptt"}
        other = [name for name, value in options.items() if name != "norm" and value != usual.get(name)]
        require(not other, "SP316", f"MPBN has no option {', '.join(other)}", mend="leave it out")
        super().__init__(method, timesteps, channels=channels, decay=decay, norm=options.get("norm"))
        self.eps, self.momentum = 1e-5, 0.1
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("threshold", torch.full((timesteps, channels), float(method.threshold)))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    @property
    def gain(self) -> Tensor:
        """[C], what a normalised membrane is multiplied by."""
        return self.gamma.abs().clamp(min=SMALLEST)

    def thresholds(self) -> Tensor:
        """[T, C], the normalisation folded in; the table follows."""
        with torch.no_grad():
            spread = torch.sqrt(self.running_var + self.eps) / self.gain
            self.threshold.copy_((self.method.threshold - self.beta) * spread + self.running_mean)
        return self.threshold

    def surrogate_widths(self) -> Tensor:
        """[T, C], in units of the membrane as it is before the normalisation."""
        spread = torch.sqrt(self.running_var + self.eps) / self.gain.detach()
        return (self.method.width * spread).expand(self.timesteps, -1)

    def normalised(self, x: Tensor, norm: TdBatchNorm) -> Tensor:
        return self(norm(x))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        require(ranks() == 1, "SP316", "MPBN trains in one process", mend="leave torchrun out")
        rules, _ = self._prepare(x)
        rows = whole(x) and rows_of_channels(x[:1]) and x[0].numel() > x.shape[2]
        if rows and fused.applies(x, self.threshold[:, 0], rules):
            return self._compiled(x)
        v, spikes = torch.zeros_like(x[0]), []
        for now in x:
            u = self.decay * v + now
            y = F.batch_norm(
                u, self.running_mean, self.running_var, self.gain, self.beta, True, self.momentum, self.eps
            )
            spikes.append(_Spike.apply(y - self.method.threshold, self.method.width, self.method.shape))  # type: ignore[no-untyped-call]
            v = u * (1 - spikes[-1])
        self.thresholds()  # the table follows: losses of membranes look at it
        return torch.stack(spikes)

    def _compiled(self, x: Tensor) -> Tensor:
        fixed = fused_membrane.Fixed(self.method.threshold, self.method.width, self.eps)
        fired, means, variances = fused_membrane.fire(x, self.decay, self.gain, self.beta, fixed)
        with torch.no_grad():
            for mean, var in zip(means, variances, strict=True):
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)
        self.thresholds()
        return fired


class _Spike(torch.autograd.Function):
    """1 where ``distance`` >= 0, with the surrogate's slope."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, width: float, shape: str) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.by = width, shape
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (distance,) = ctx.saved_tensors
        width, shape = ctx.by
        return grad * slope(distance, distance.new_tensor(width), shape), None, None
