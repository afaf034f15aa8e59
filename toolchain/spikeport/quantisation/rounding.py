"""The step `rounding`: weights are rounded together, so that their errors cancel on the inputs that occur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import Array, Conv, Synapse
from spikeport.quantisation.layers import Layer
from spikeport.quantisation.mantissa import Mantissa
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.sweep import Calibration, Sweep, where_nearer

ENTRIES = 2**25  #: numbers in the sample of inputs from which a layer's second moments are taken
PATCHES = (1024, 16384)  #: fewest and most input patches in it
DAMPING = 0.01  #: of the mean second moment, added to the diagonal
#: Of the limit, tried for each channel: above 1 a step is coarser, but errors may happen to cancel better.
RATIOS = (1.0, *(float(r) for r in np.round(np.linspace(1.01, 1.24, 24), 6)), 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
WORK = 2**34  #: multiplications that the search among RATIOS may take in a layer; large layers try only the first few
ROWS = 512  #: that are rounded at once, so that a block of their columns stays in a cache
BLOCK = 128  #: columns whose corrections are applied to the rest at once


def rounding(plan: Plan, calibration: Calibration) -> Plan:
    """Round each weight so that the error of the sums on the calibration batch, not of the weights, is small.

    1. H = E[x x^T] over the inputs x that one neuron sees, from what the layers before really send; raw moments, since
       a constant error is an error too.
    2. Weights are rounded one input after the other, the largest moment first, and what each rounding got wrong is
       made up for by those that are still to come (Frantar et al., GPTQ, ICLR 2023, arXiv 2210.17323, algorithm 1).
    3. Of RATIOS of each channel's largest mantissa the one with the least error of the sums is taken; `tried` of them
       in large layers.
    4. A layer whose spikes are no nearer to the real network's keeps its weights as they were.

    The rounded weights stand in the plan's real graph, on the grid of the layer's unit.
    """
    rng = np.random.default_rng(0)
    return where_nearer(plan, calibration, partial(_rounded, rng=rng))


def _rounded(sweep: Sweep, plan: Plan, layer: Layer, *, rng: np.random.Generator) -> Plan:
    seen = {}
    for name in plan.steps(layer):
        node = plan.real[name]
        assert isinstance(node, Synapse)
        inputs = patches(node, sweep.calibration.own(sweep.entering(name)), rng)
        seen[name] = [Moments.of(inputs[:, group]) for group in range(inputs.shape[1])]
    if len(seen) == 1 and len(layer.terms) == 1:
        plan = _best_limits(plan, layer, seen)
    changes = {}
    for name, step in plan.steps(layer).items():
        node = plan.real[name]
        assert isinstance(node, Synapse)
        (whole,) = _together(node, [step], seen[name], plan.mantissas[name])
        changes[name] = node.with_(weight=(whole * step).astype(node.weight.dtype))
    return plan.with_(real=plan.real.replace(changes))


def _best_limits(plan: Plan, layer: Layer, seen: dict[str, list[Moments]]) -> Plan:
    """Of RATIOS times the limit of each channel (or layer) the one whose rounded sums have the least square error."""
    ((name, moments),) = seen.items()
    node, limit = plan.real[name], plan.limits[layer.name][name]
    assert isinstance(node, Synapse)
    steps = [plan.with_limits(layer, {name: limit * ratio}).steps(layer)[name] for ratio in RATIOS[: tried(node)]]
    together = max(1, ROWS // node.channels)
    parts = [steps[start : start + together] for start in range(0, len(steps), together)]
    wholes = [whole for part in parts for whole in _together(node, part, moments, plan.mantissas[name])]
    errors = []
    for step, whole in zip(steps, wholes, strict=True):
        rows = (whole * step - node.weight).reshape(len(moments), node.channels // len(moments), -1)
        each = [
            np.einsum("rn,nm,rm->r", part, m.raw, part, optimize=True) for part, m in zip(rows, moments, strict=True)
        ]
        errors.append(np.concatenate(each))
    table = np.stack(errors) if limit.shape else np.stack(errors).sum(1, keepdims=True)
    best = np.asarray(RATIOS)[np.argmin(table, axis=0)].reshape(limit.shape)
    return plan.with_limits(layer, {name: limit * best})


def tried(node: Synapse) -> int:
    """How many of RATIOS are tried for a synapse: each takes outputs x inputs^2 multiplications."""
    inputs = int(np.prod(node.weight.shape[1:]))
    return int(np.clip(WORK // (node.channels * inputs**2), 1, len(RATIOS)))


def shortened(plan: Plan) -> list[Finding]:
    """The layers for which the search is shorter than it would be."""
    findings = []
    for layer in plan.layers:
        for term in layer.terms:
            node = plan.real[term.name]
            if isinstance(node, Synapse) and len(layer.terms) == 1 and tried(node) < len(RATIOS):
                what = f"the step rounding tries {tried(node)} of {len(RATIOS)} largest weights"
                findings.append(
                    Finding("SP427", what, f"node {term.name!r}", "its weights are so many.", severity="note")
                )
    return findings


def _together(node: Synapse, steps: Sequence[Array], moments: list[Moments], mantissa: Mantissa) -> Array:
    """The weights rounded to each of several steps, [steps, *weight]."""
    rows = np.stack([node.weight / step for step in steps])
    rows = rows.reshape(len(steps), len(moments), node.channels // len(moments), -1)
    whole = [round_together(rows[:, group], one, mantissa) for group, one in enumerate(moments)]
    return np.stack(whole, axis=1).reshape(len(steps), *node.weight.shape)


@dataclass(frozen=True)
class Moments:
    """Second moments of the inputs of one neuron, and what rounding in turn needs of them."""

    raw: Array  #: [n, n], E[x x^T]
    order: Array  #: [n], inputs by falling moment
    factor: Array  #: [n, n], upper Cholesky factor of the inverse of the damped moments, in that order

    @classmethod
    def of(cls, rows: Array) -> Moments:
        """From a sample of inputs [P, n]."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        raw = np.asarray(rows.T @ rows, dtype=np.float64) / len(rows)
        size = np.diag(raw)
        seen = size > 0
        damped = raw + np.diag(np.where(seen, DAMPING * size[seen].mean() if seen.any() else 1.0, 1.0))
        order = np.argsort(-np.diag(damped), kind="stable")
        return cls(raw, order, _inverse_factor(damped[np.ix_(order, order)]))


def _inverse_factor(matrix: Array) -> Array:
    """The upper triangular R with R^T R the inverse of a positive definite matrix.

    With J the reversal of rows, J H J = L L^T gives H = U U^T for U = J L J, upper triangular, so R = U^-1.
    """
    lower = np.linalg.cholesky(matrix[::-1, ::-1])
    from scipy.linalg import lapack  # which no verb needs but those that quantise

    inverse, failed = lapack.dtrtri(lower[::-1, ::-1])
    assert failed == 0  # a positive definite matrix has no zero on the diagonal of its factor
    return np.asarray(inverse)


def round_together(weight: Array, moments: Moments, mantissa: Mantissa) -> Array:
    """Whole numbers q near ``weight`` w [..., rows, n] that make (q - w) E[x x^T] (q - w)^T of each row small."""
    weight = weight.astype(np.float64)[..., moments.order]
    factor = moments.factor  # row j holds what the columns after j must do for an error in column j
    whole = np.empty_like(weight)
    for start in range(0, weight.shape[-1], BLOCK):
        stop = min(start + BLOCK, weight.shape[-1])
        columns, errors = _columns(weight[..., start:stop], factor[start:stop, start:stop], mantissa)
        whole[..., start:stop] = columns
        weight[..., stop:] -= errors @ factor[start:stop, stop:]
    back = np.empty_like(whole)
    back[..., moments.order] = whole
    return back


def _columns(weight: Array, factor: Array, mantissa: Mantissa) -> tuple[Array, Array]:
    """One block of columns, rounded in turn, and what each got wrong; columns lie first in memory here."""
    left = np.ascontiguousarray(np.moveaxis(weight, -1, 0))
    whole, errors = np.empty_like(left), np.empty_like(left)
    for j in range(len(left)):
        np.clip(np.rint(left[j]), mantissa.low, mantissa.high, out=whole[j])
        errors[j] = (left[j] - whole[j]) / factor[j, j]
        left[j + 1 :] -= errors[j] * factor[j, j + 1 :].reshape(-1, *(1,) * (left.ndim - 1))
    return np.moveaxis(whole, 0, -1), np.ascontiguousarray(np.moveaxis(errors, 0, -1))


def patches(node: Synapse, x: Array, rng: np.random.Generator) -> Array:
    """Inputs that single neurons see, [P, groups, n], drawn from frames ``x`` [N, *shape]."""
    length = int(np.prod(node.weight.shape[1:]))
    groups = node.groups if isinstance(node, Conv) else 1
    count = int(np.clip(ENTRIES // (length * groups), *PATCHES))
    if not isinstance(node, Conv):
        rows = x if len(x) <= count else x[rng.choice(len(x), count, replace=False)]
        return rows.reshape(len(rows), 1, length)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in node.padding)])
    pick = rng.integers(0, len(x), count)
    index: list[Array] = []
    for axis, (kernel, stride, dilation) in enumerate(zip(node.kernel, node.stride, node.dilation, strict=True)):
        places = (padded.shape[2 + axis] - dilation * (kernel - 1) - 1) // stride + 1
        first = rng.integers(0, places, count) * stride
        spread = first[:, None] + np.arange(kernel) * dilation  # [P, k]
        shape = [count] + [1] * len(node.kernel)
        shape[1 + axis] = kernel
        index.append(spread.reshape(shape))
    sample = pick.reshape(-1, *(1,) * len(node.kernel))
    channels_last = np.moveaxis(padded, 1, -1)
    inputs = np.moveaxis(channels_last[(sample, *index)], -1, 1)  # [P, C, *kernel]
    return inputs.reshape(count, groups, length)
