"""Online training through time: what a synapse learns from is the trace of what enters it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def by_traces(synapse: nn.Module, x: Tensor, decay: Tensor) -> Tensor:
    """``synapse(x)`` for ``x`` [T, B, ...], whose weights get the gradient that ``a`` would give them.

        a[t] = decay a[t-1] + x[t]      dL/dW = sum_t g_u[t] a[t]      dL/dx[t] = W g_u[t]

    ``decay`` [] is that of the neurons behind, a constant here. OTTT: Xiao et al., NeurIPS 2022, eq. 4-6. The synapse
    is computed twice; with tdBN behind it, whose statistics join all steps, memory grows with the steps all the same.
    """
    traces = [x[0].detach()]
    for now in x[1:]:
        traces.append(decay.detach() * traces[-1] + now.detach())
    with torch.no_grad():
        value = synapse(x)
    return _Instead.apply(synapse(_Instead.apply(x, torch.stack(traces))), value)  # type: ignore[no-untyped-call, no-any-return]


class _Instead(torch.autograd.Function):
    """The value of the second, the gradient of the first."""

    @staticmethod
    def forward(ctx: Any, carrier: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None
