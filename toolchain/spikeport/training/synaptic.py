"""Neurons with a synaptic current that fire several times a step, connected among themselves where asked to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from spikeport.findings import require
from spikeport.training.methods import Method
from spikeport.training.neurons import LIF
from spikeport.training.norm import TdBatchNorm
from spikeport.training.surrogates import slope


class Synaptic(LIF):
    """Neurons [T, B, C] with a current, which decays as it arrives; what fires loses one threshold a spike.

        i[t] = current * (i[t-1] + x[t] + feedback.weight s[t-1])      u[t] = decay * v[t-1] + i[t]
        s[t] = clip(floor(u[t] / threshold), 0, most)                  v[t] = u[t] - s[t] * threshold

    These are Xylo's neurons (`spikeport.graph.xylo`) before rounding, where ``decay`` and ``current`` are shifts, 1 -
    2^-n: neither is learned. ``recurrent`` connects the layer with itself; `feedback` starts orthogonal, times
    ``strength``. The gradient of s is the surrogate's slope at the nearest threshold, 1 ... ``most`` of them.
    Raises SP316 for another reset, and for a decay or a number of spikes that cannot be.
    """

    def __init__(
        self,
        method: Method,
        timesteps: int,
        *,
        channels: int,
        decay: float = 0.875,
        current: float = 0.5,
        most: int = 31,
        recurrent: bool = True,
        strength: float = 0.5,
        **options: object,
    ) -> None:
        super().__init__(method, timesteps, decay=decay, channels=channels, reset="subtract", **options)
        for name, value in (("decay", decay), ("current", current)):
            require(0 < value < 1, "SP316", f"{name} = {value}", mend="a share of what is held, such as 0.875")
        require(most >= 1, "SP316", f"most = {most}", mend="one spike a step or more")
        self.current, self.most = current, most
        self.feedback = nn.Linear(channels, channels, bias=False) if recurrent else None
        if self.feedback is not None:
            nn.init.orthogonal_(self.feedback.weight, gain=strength)

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x)[0]

    def normalised(self, x: Tensor, norm: TdBatchNorm) -> Tensor:
        return self(norm(x))  # type: ignore[no-any-return]

    def membranes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(x)

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes, how often each neuron fires, and membranes before the reset, [T, B, C]."""
        _, widths = self._prepare(x)
        thresholds = self.thresholds()
        v = i = s = torch.zeros_like(x[0])
        spikes, membranes = [], []
        for t in range(self.timesteps):
            back = x[t] if self.feedback is None else x[t] + self.feedback(s)
            i = self.current * (i + back)
            u = self.decay * v + i
            s = _Several.apply(u, thresholds[t], widths[t], self.most, self.method.shape)  # type: ignore[no-untyped-call]
            v = u - s * thresholds[t]
            spikes.append(s)
            membranes.append(u)
        return torch.stack(spikes), torch.stack(membranes)


class _Several(torch.autograd.Function):
    """How often a membrane holds its threshold, at most ``most``; nobody learns the threshold here."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, threshold: Tensor, width: Tensor, most: int, shape: str) -> Tensor:
        nearest = torch.round(u / threshold).clamp(1, most)
        ctx.save_for_backward(u - nearest * threshold, width)
        ctx.shape = shape
        return torch.floor(u / threshold).clamp(0, most)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        distance, width = ctx.saved_tensors
        return grad * slope(distance, width, ctx.shape), None, None, None, None
