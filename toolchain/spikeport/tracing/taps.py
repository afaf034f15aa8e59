"""A convolution over time: each tap of its kernel is a matrix behind a delay, as a synapse with a delay a weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.graph import Array, Linear
from spikeport.tracing.algebra import shifted, summed
from spikeport.tracing.blocks import gathered, steps_of
from spikeport.tracing.call import Call
from spikeport.tracing.fading import kernel
from spikeport.tracing.symbols import ALL, Out, Product, Steps, Symbol, Unsupported


def padded(call: Call, x: Symbol, sides: tuple[int, ...]) -> Steps:
    """Zeros before the first step, which is nothing."""
    if len(sides) != 2 or sides[1] or sides[0] < 0:
        raise Unsupported("pads time with more than zeros before the first step")
    block = steps_of(call, x)
    return Steps((None,) * sides[0] + block.steps, block.axis)


def over_time(x: Symbol | Steps | None, axes: int) -> bool:
    """Whether a convolution over ``axes`` axes of ``x`` [batch, features, time] runs over time."""
    if isinstance(x, Steps):
        return axes == 1 and x.axis == 2
    return x is not None and axes == 1 and x.axes[1:] == ((0,), ("T",)) and len(x.shape) == 1


def convolved(call: Call, known: Symbol | Steps) -> Symbol | Steps:
    """conv1d(input, weight, bias, stride, padding, dilation, groups) over time, of as many steps as there are.

    ``y[t] = sum_k weight[:, :, k] x[t - dilation (K - 1 - k)]``: dilation (K - 1) zeros stand before the first step.
    """
    early = next((n for n, s in enumerate(known.steps) if s is not None), 0) if isinstance(known, Steps) else 0
    x = gathered(call, replace(known, steps=known.steps[early:])) if isinstance(known, Steps) else known
    weight = call.constant(call.get(1, "weight"))
    options = ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    stride, padding, dilation = (_one(call.get(index, name, default)) for index, name, default in options)
    assert weight is not None
    taps = weight.shape[2]
    if not isinstance(x, Symbol) or not over_time(x, 1) or x.constant.any():
        raise Unsupported("convolves over time what is no sum of one layer's values at each step")
    reach = dilation * (taps - 1)
    both = padding == reach > 0 and not early  # then as many steps too many come out, behind the last
    if padding and not both:
        raise Unsupported(f"pads time on both sides by {padding}, so that steps see later ones", mend=_before(reach))
    if stride != 1 or (early != reach and not both):
        raise Unsupported(
            f"convolves over time with {early} steps of zeros before the first; a kernel that sees no later step and "
            f"leaves as many steps as it takes needs {reach}, and stride 1"
        )
    y = _summed(call, x, weight, dilation)
    return _lengthened(call, y, reach) if both else y


def _before(reach: int) -> str:
    zeros = f"zeros before the first step alone, F.pad(x, ({reach}, 0)) and padding=0"
    return f"train it with {zeros}, or with padding={reach} and the last {reach} steps cut off, y[..., :-{reach}]"


def _lengthened(call: Call, y: Symbol, more: int) -> Steps:
    """The steps of a block, and others behind the last one, which may be cut off again and not be used."""
    last = call.tracer.report(
        "gives steps behind the last one, of the zeros that it pads time with", mend=_before(more)
    )
    block = steps_of(call, y)
    behind = replace(block.steps[-1] or y, causes=y.causes | {last})
    return Steps((*block.steps, *[behind] * more), block.axis)


def _summed(call: Call, x: Symbol, weight: Array, dilation: int) -> Symbol:
    """The sum of what each tap makes of the values that its delay keeps."""
    taps = weight.shape[2]
    groups = int(call.get(6, "groups", 1))
    if groups == len(weight) == x.shape[0] and dilation == 1 and (leak := kernel(call, x, weight)) is not None:
        bias = call.constant(call.get(2, "bias"))
        return leak if bias is None else shifted(leak, bias.astype(np.float64))
    total: Symbol | None = None
    for tap in range(taps):
        matrix = _ungrouped(weight[:, :, tap], groups)
        if not matrix.any():
            continue
        first = call.constant(call.get(2, "bias")) if total is None else None
        part = call.apply(Linear(matrix, first), _late(call, x, dilation * (taps - 1 - tap)), x.axes)
        total = part if total is None else summed(total, part)
    if total is None:
        raise Unsupported("convolves with zeros")
    return total


def _one(value: Any) -> int:
    if isinstance(value, str):
        mend = "train it with zeros before the first step alone: F.pad(x, (K - 1, 0)) for a kernel of K steps"
        raise Unsupported(f"pads time on both sides (padding={value!r})", mend=mend)
    return int(value if isinstance(value, int) else value[0])


def _late(call: Call, x: Symbol, steps: int) -> Symbol:
    """The values of so many steps ago."""
    terms: dict[Product, Array] = {}
    draft = call.tracer.draft
    for product, factor in draft.gated(x).terms.items():
        (out,) = product
        if not isinstance(out, Out) or out.step not in (None, ALL):
            raise Unsupported("convolves over time what is no sum of one layer's values at each step")
        node = draft.delayed(out.node, steps)
        terms[frozenset([Out(node, None if node in draft.steady else ALL)])] = factor
    return Symbol(terms, x.shape, x.axes, causes=x.causes)


def _ungrouped(weight: Array, groups: int) -> Array:
    """A matrix [out, in] of one [out, in / groups]."""
    if groups == 1:
        return weight
    outputs, inputs = len(weight) // groups, weight.shape[1]
    whole = np.zeros((len(weight), inputs * groups), weight.dtype)
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return whole
