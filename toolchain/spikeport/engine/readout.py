"""What the output node makes of the values that reach it: a readout's weighed sum, or spikes counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spikeport.graph import STATE_SHIFT, Graph, Loihi, Readout, over_neurons


@dataclass(frozen=True)
class Out:
    """The output node, ready: its parameters are laid out once."""

    dtype: torch.dtype
    weight: Tensor | None  #: [T, 1, *ones], of integers with the shift of what enters; None where values are summed
    bias: Tensor | None  #: broadcasts over [*output]; None where there is none

    def told(self, x: Tensor) -> Tensor:
        """What it weighs, step by step: ``x[t] + bias``, in Loihi's integers ``(x[t] << 6) + bias``."""
        x = x.to(self.dtype)
        if self.weight is not None and self.dtype == torch.int64:
            x = x << STATE_SHIFT
        return x if self.bias is None else x + self.bias

    def summed(self, x: Tensor, start: int, steps: int) -> Tensor:
        """The part of the output that the steps ``start`` ... ``start + steps - 1`` give; ``x`` [steps or 1, ...]."""
        if self.weight is None:
            return x.to(self.dtype).expand(steps, *x.shape[1:]).sum(0)
        return (self.weight[start : start + steps] * self.told(x)).sum(0)


def prepare(graph: Graph, dtype: torch.dtype, device: str) -> Out:
    """The output node of a graph; ``dtype``: of real numbers."""
    node = graph.nodes[graph.output]
    dtype = torch.int64 if isinstance(graph.arithmetic, Loihi) else dtype
    if not isinstance(node, Readout):
        return Out(dtype, None, None)
    weight = torch.as_tensor(np.array(node.weight)).to(device, dtype).reshape(-1, *(1,) * (1 + len(node.shape)))
    bias = torch.as_tensor(np.array(over_neurons(node.bias, node.shape))).to(device, dtype)
    idle = dtype == torch.int64 and not node.bias.any()
    return Out(dtype, weight, None if idle else bias)
