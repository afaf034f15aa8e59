"""A matrix over time: each step as a weighted sum of steps, as neurons that see a window of their past compute it."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.graph import Array
from spikeport.tracing.algebra import scaled, shifted, summed
from spikeport.tracing.blocks import gathered, steps_of
from spikeport.tracing.call import Call
from spikeport.tracing.operands import operand
from spikeport.tracing.symbols import Steps, Symbol, Unsupported


def is_over_time(call: Call, left: Any, right: Any) -> bool:
    """Whether ``left @ right`` is a constant matrix times a block whose first axis is time."""
    if call.known(left) is not None:
        return False
    known = call.known(right)
    return (isinstance(known, Symbol) and known.axes[0] == ("T",)) or (isinstance(known, Steps) and known.axis == 0)


def mixed(call: Call, left: Any, right: Any, bias: Any = None) -> Symbol | Steps:
    """left @ right + bias: step t is the sum over k of left[t, k] * right[k]. Steps to come are refused."""
    known = call.known(right)
    assert known is not None
    block = steps_of(call, known)
    weight = np.asarray(left.detach().cpu(), dtype=np.float64)
    if weight.ndim != 2 or weight.shape != (len(block.steps), len(block.steps)):
        raise Unsupported(f"multiplies time by a matrix of shape {weight.shape}")
    if np.triu(weight, 1).any():
        raise Unsupported("mixes timesteps, later ones with earlier ones: a network that runs sees no step to come")
    steps = [_step(block, row) for row in weight]
    if bias is not None:
        alone = bias.numel() == 1 or len(bias) != len(steps)
        steps = [shifted(s, operand(call, bias if alone else bias[t], s)) for t, s in enumerate(steps)]
    return gathered(call, Steps(tuple(steps), 0))


def _step(block: Steps, row: Array) -> Symbol:
    """One step; a sum that is no multiple of one tensor, so that it is a membrane of its own."""
    parts = [scaled(s, np.asarray(w)) for s, w in zip(block.steps, row, strict=True) if w and s is not None]
    if not parts:
        raise Unsupported("has a step to which no step counts")
    total = parts[0].fresh()
    for part in parts[1:]:
        total = summed(total, part)
    return total
