"""Losses on the readout."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of [B, classes]; ``smoothing`` 0.1 is DS-ATGO's code (functional.py:15-27)."""
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
