"""A layer of neurons that is connected to itself: what fired at one step enters at the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from spikeport.training import stepwise
from spikeport.training.methods import Method
from spikeport.training.neurons import PLIF
from spikeport.training.norm import TdBatchNorm
from spikeport.training.rules import Rules


class Recurrent(PLIF):
    """PLIF neurons [T, B, C] with a matrix of connections among themselves, one step late.

        u[t] = decay * v[t-1] + x[t] + feedback.weight s[t-1]      s[-1] = 0

    Spike, reset, thresholds and surrogate are those of `Neuron`; `feedback` starts orthogonal, times ``strength``.
    """

    def __init__(
        self, method: Method, timesteps: int, *, channels: int, strength: float = 0.5, **options: object
    ) -> None:
        super().__init__(method, timesteps, channels=channels, **options)  # type: ignore[arg-type]
        self.feedback = nn.Linear(channels, channels, bias=False)
        nn.init.orthogonal_(self.feedback.weight, gain=strength)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self._by_steps(x)
        rules, widths = self._prepare(x)
        spikes, used = _Fire.apply(x, self.decay, self.thresholds(), widths, self.feedback.weight, rules)  # type: ignore[no-untyped-call]
        self._follow(used, rules)
        return spikes  # type: ignore[no-any-return]

    def normalised(self, x: Tensor, norm: TdBatchNorm) -> Tensor:
        return self(norm(x))  # type: ignore[no-any-return]

    def membranes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rules = Rules(self.method, self.reset, self.detach_reset)
        decay, theta = self.decay.detach(), self.threshold.detach()
        spikes, u, *_ = stepwise.forward(x, decay, theta, theta, rules, self.feedback.weight.detach())
        return spikes, u

    def _by_steps(self, x: Tensor) -> Tensor:
        """Inference, line by line, as `capture` reads it."""
        self._prepare(x)
        self.thresholds()
        v, s, spikes = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
        for t in range(self.timesteps):
            u = self.decay * v + x[t] + self.feedback(s)
            s = (u >= self.threshold[t]).to(x.dtype)
            v = u * (1 - s) if self.reset == "zero" else u - self.threshold[t] * s
            spikes.append(s)
        return torch.stack(spikes)


class _Fire(torch.autograd.Function):
    """All steps as one operation: the gradient of the connections is one product in the end, not one a step."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, decay: Tensor, threshold: Tensor, width: Tensor, feedback: Tensor, rules: Rules
    ) -> tuple[Tensor, Tensor]:
        state = torch.promote_types(x.dtype, torch.float32)
        beta, weight = decay.to(state), feedback.to(state)
        spikes, u, used, widths = stepwise.forward(x, beta, threshold.to(state), width.to(state), rules, weight)
        mask = torch.rand_like(u) >= rules.method.masked if rules.method.masked > 0 else None
        ctx.save_for_backward(spikes, u, beta, used, widths, mask, weight)
        ctx.rules = rules
        ctx.mark_non_differentiable(used)
        return spikes, used

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        spikes, u, beta, thresholds, widths, mask, weight = ctx.saved_tensors
        g_x, g_decay, g_theta, g_width = stepwise.backward(grad, u, beta, thresholds, widths, mask, ctx.rules, weight)
        g_weight = g_x[1:].flatten(0, 1).to(weight.dtype).T @ spikes[:-1].flatten(0, 1).to(weight.dtype)
        if ctx.rules.adapt:
            return g_x, g_decay, None, None, g_weight, None
        return g_x, g_decay, g_theta, g_width, g_weight, None
