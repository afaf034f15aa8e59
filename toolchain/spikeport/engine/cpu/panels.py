"""Products of real numbers cut into parts, which threads take at the same time.

In a product of another size sums may round in another order. So the parts follow from the sizes alone, never from the
number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeport.engine import synapse
from spikeport.engine.synapse import Step
from spikeport.graph import Linear, Synapse
from spikeport.threads import over_parts

WORK = 1 << 22  #: multiply-adds of a part, 0.1 to 0.2 ms: a call of torch costs 5 to 15 us beside them
OUTPUTS = 128  #: of a matrix in a part, or a multiple: 64 rows of 784 to 512 take 1.2 times as long then as in one part
ADDS = 1 << 5  #: multiply-adds that take as long as what `over_parts` counts


def product(node: Synapse, dtype: torch.dtype) -> Step:
    """A synapse of real numbers: sums [T, B, *out] of values [T, B, *in], bytes too."""
    if not isinstance(node, Linear):
        whole = synapse.prepare(node, dtype, "cpu")
        return lambda x: whole(x.to(dtype))
    weight = torch.as_tensor(np.array(node.weight)).to(dtype)
    bias = None if node.bias is None else torch.as_tensor(np.array(node.bias)).to(dtype)
    return lambda x: _matrix(x.to(dtype).flatten(0, 1), weight, bias).reshape(*x.shape[:2], -1)


def _matrix(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x`` [N, in] times a matrix [out, in], some outputs at a time."""
    outputs, each = len(weight), x.numel()
    size = max(1, -(-WORK // max(1, OUTPUTS * each))) * OUTPUTS
    if size >= outputs:
        return F.linear(x, weight, bias)
    sums = x.new_empty(len(x), outputs)

    def some(begin: int, end: int) -> None:
        with torch.inference_mode():  # which is a thread's own
            for start in range(begin * size, min(end * size, outputs), size):
                here, rows = sums[:, start : start + size], weight[start : start + size].T
                if bias is None:
                    torch.mm(x, rows, out=here)
                else:
                    torch.addmm(bias[start : start + size], x, rows, out=here)

    over_parts(some, -(-outputs // size), step=1, weight=size * each // ADDS)
    return sums
