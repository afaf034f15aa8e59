"""What reshapes, permutations, repeats and joins over time become: other axes of the same values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.graph import Shape
from spikeport.tracing import levels, operations, signs
from spikeport.tracing.arithmetic import spiking
from spikeport.tracing.axes import regrouped
from spikeport.tracing.blocks import gathered, steps_of
from spikeport.tracing.call import FIXED, Call
from spikeport.tracing.operands import operand
from spikeport.tracing.reasons import SEVERAL
from spikeport.tracing.symbols import Known, State, Steps, Symbol, Unsupported


def reshape(call: Call) -> Symbol | Steps:
    """Any reshape: axes that are joined or taken apart again cost nothing, others a node."""
    block = call.known(call.get(0, "input"))
    if isinstance(block, Steps):
        return _reshaped(call, block)
    x = call.input()
    try:
        return x.viewed(regrouped(x.labels, call.size, tuple(call.out.shape)))
    except Unsupported:
        return operations.reshaped(call, x)


def _reshaped(call: Call, block: Steps) -> Steps | Symbol:
    """Each step of a block whose first axis is time."""
    shape = tuple(call.out.shape)
    if call.tracer.draft.leaks and (whole := call.symbol(call.get(0, "input"))) is not None:
        return whole.viewed(regrouped(whole.labels, call.size, shape))
    if block.axis or shape[0] != len(block.steps):
        raise Unsupported("takes a block over time whose steps are not one layer's, and moves time in it")

    def viewed(x: Symbol) -> Symbol:
        return x.viewed(regrouped(x.labels, lambda label: call.tracer.size(x.shape, label), shape[1:]))

    return Steps(tuple(s and viewed(s) for s in block.steps), 0)


def permuted(call: Call, order: Sequence[int]) -> Any:
    """The axes in another order."""
    x = call.known(call.get(0, "input"))
    assert x is not None
    if isinstance(x, Symbol):
        return x.viewed(tuple(x.axes[n] for n in order))
    block = list(order)
    where = block.index(x.axis)
    rest = [n - (n > x.axis) for n in block if n != x.axis]
    return Steps(tuple(s and s.viewed(tuple(s.axes[n] for n in rest)) for s in x.steps), where)


def permute(call: Call) -> Any:
    """permute(x, dims)."""
    dims = call.get(1, "dims")
    dims = [dims, *call.args[2:]] if isinstance(dims, int) else list(dims)
    return permuted(call, [d % len(call.shape) for d in dims])


def transpose(call: Call) -> Any:
    """transpose(x, a, b), x.T, x.mT, x.t()."""
    count = len(call.shape)
    order = list(range(count))
    if call.name == "get_mT":
        first, second = count - 2, count - 1
    elif call.name in ("get_T", "t", "t_"):
        return permuted(call, order[::-1])
    else:
        first, second = call.get(1, "dim0", call.kwargs.get("axis0")), call.get(2, "dim1", call.kwargs.get("axis1"))
    order[first], order[second] = order[second], order[first]
    return permuted(call, order)


def movedim(call: Call) -> Any:
    """movedim(x, source, destination)."""
    count = len(call.shape)
    source, target = call.get(1, "source"), call.get(2, "destination")
    sources, targets = ([v] if isinstance(v, int) else list(v) for v in (source, target))
    order = [n for n in range(count) if n not in {s % count for s in sources}]
    for at, s in sorted((t % count, s % count) for s, t in zip(sources, targets, strict=True)):
        order.insert(at, s)
    return permuted(call, order)


# -- over time --------------------------------------------------------------------------------------------------------


def stack(call: Call) -> Any:
    """Frames of all steps to a block, or several values along a new axis."""
    known = (call.symbol(part) for part in call.get(0, "tensors"))
    first = next((part for part in known if part is not None), None)
    parts = [_frame(call, part, first) for part in call.get(0, "tensors")]
    axis = call.get(1, "dim", 0) % call.out.ndim
    raised = [part.viewed((*part.axes[:axis], (), *part.axes[axis:])) for part in parts if part is not None]
    if len(parts) == 1 and raised and call.tracer.timesteps not in (None, 1):
        return raised[0]
    if not any(part.timed for part in raised):
        try:
            return _over_time(call, parts, axis)
        except Unsupported:
            if len(raised) < len(parts) and not _later(parts):
                raise
    try:
        if len(raised) == len(parts):
            return operations.stacked(call, raised, axis)
    except Unsupported:
        if not _later(parts):
            raise
    return _over_time(call, parts, axis, _later)


def _frame(call: Call, value: Any, beside: Symbol | None) -> Symbol | None:
    """One of several values: None where it is zeros; another constant is one of the form of a value beside it."""
    known = call.symbol(value)
    if known is not None:
        return known
    fixed = isinstance(value, Tensor) and call.tracer.is_fixed(value)
    if fixed and not value.any():
        return None
    if not fixed or beside is None or beside.timed:
        raise Unsupported("joins values that depend on the input with constants")
    return Symbol({}, beside.shape, beside.axes, operand(call, value, beside))


def _over_time(
    call: Call, parts: list[Symbol | None], axis: int, ordered: Callable[[Sequence[Symbol | None]], bool] | None = None
) -> Any:
    known = [p for p in parts if p is not None]
    if any(p.axes != known[0].axes or p.shape != known[0].shape for p in known):
        raise Unsupported("joins values of different layers over time")
    block = Steps(tuple(parts), axis)
    result = gathered(call, block)
    if isinstance(result, Steps) and not (ordered or _in_order)(result.steps):
        raise Unsupported("joins values of different layers; only the steps of one layer can be joined, over time")
    return result


def _in_order(parts: Sequence[Symbol | None]) -> bool:
    """Whether step by step nothing comes before its time: steps of one thing, not several things of one step."""
    steps = _last(parts)
    rising = all(a is None or b is None or a < b for a, b in pairwise(steps))
    return rising and all(step is None or t - 1 <= step <= t for t, step in enumerate(steps))  # a membrane: step t - 1


def _later(parts: Sequence[Symbol | None]) -> bool:
    """Whether each part belongs to a later step than the one before: steps of one thing without its first ones."""
    known = [step for step in _last(parts) if step is not None]
    return len(known) > 1 and all(a < b for a, b in pairwise(known))


def _last(parts: Sequence[Symbol | None]) -> list[int | None]:
    """The step that each part belongs to; None for what is the same at each."""
    return [None if p is None else max((s for s in p.steps() if s is not None), default=None) for p in parts]


def cat(call: Call) -> Any:
    """cat: parts that are steps or pieces of a block along time; frames along the batch fold time into it."""
    values = call.get(0, "tensors")
    axis = call.get(1, "dim", call.kwargs.get("axis", 0)) % call.out.ndim
    parts: list[Symbol | None] = []
    folded = False
    for value in values:
        known = call.known(value)
        if isinstance(known, Steps) and known.axis == axis:
            parts += known.steps
        elif isinstance(known, Symbol) and known.axes[axis] == ():
            parts.append(known.viewed(known.axes[:axis] + known.axes[axis + 1 :]))
        elif isinstance(known, Symbol) and known.axes[axis] == ("T",):
            parts += steps_of(call, known).steps
        elif isinstance(known, Symbol) and known.axes[axis] == ("B",) and not known.timed:
            folded = True
            parts.append(known)
        elif known is None and call.tracer.is_fixed(value) and not value.any():
            parts += [None] * value.shape[axis]
        else:
            return operations.concatenated(call, [_part(call, value) for value in values], axis)
    if not folded:
        return _over_time(call, parts, axis)
    block = _over_time(call, parts, axis)
    if not isinstance(block, Symbol):
        raise Unsupported("folds steps of different layers into the batch")
    axes = block.axes
    return block.viewed((*axes[:axis], ("T", *axes[axis + 1]), *axes[axis + 2 :]))


def _part(call: Call, value: Any) -> Symbol | Shape:
    """A tensor to be joined with others; of zeros, as a state is before its first step, the shape."""
    known = call.symbol(value)
    if known is None and not (call.tracer.is_fixed(value) and not value.any()):
        raise Unsupported("joins values that depend on the input with constants")
    return tuple(value.shape) if known is None else known


def unbind(call: Call) -> list[Any]:
    """A block as its steps; ``chunk`` and ``split`` keep an axis of size 1."""
    dim = 0 if call.name == "__iter__" else call.get(1 if call.name == "unbind" else 2, "dim", 0)
    block = call.known(call.get(0, "input"))
    assert block is not None
    dim %= len(call.shape)
    if isinstance(block, Symbol) and block.axes[dim] == ():
        rest = block.viewed(block.axes[:dim] + block.axes[dim + 1 :])
        return [rest if call.name in ("unbind", "__iter__") else block]
    if isinstance(block, Symbol) and block.axes[dim] != ("T",):
        return _pieces(call, block, dim)
    block = steps_of(call, block)
    if block.axis != dim:
        raise Unsupported("takes a block apart along another axis than time")
    parts = list(block.steps)
    call.tracer.membranes.took(range(len(parts)), call.tracer.timesteps)
    if call.name in ("unbind", "__iter__"):
        return [FIXED if p is None else p for p in parts]
    if len(call.out) != len(parts):
        raise Unsupported("takes a block apart into pieces of several steps")
    return [FIXED if p is None else p.viewed((*p.axes[:dim], (), *p.axes[dim:])) for p in parts]


def _pieces(call: Call, x: Symbol, dim: int) -> list[Any]:
    """The parts of features that unbind, chunk and split return."""
    if call.name in ("unbind", "__iter__"):
        return [operations.taken(call.tracer, x, dim, n) for n in range(call.shape[dim])]
    ends = np.cumsum([part.shape[dim] for part in call.out]).tolist()
    return [operations.sliced(call.tracer, x, dim, a, b) for a, b in zip([0, *ends], ends, strict=False)]


def same(call: Call) -> Known:
    """The values as they are: the same tensor under another name."""
    known = call.tracer.known_of(call.get(0, "input"))
    assert known is not None
    if isinstance(known, State):
        return known
    return call.known(call.get(0, "input")) or known


def copied(call: Call) -> Any:
    """x.copy_(y): the values of y; x.zero_() and x.fill_(number): a constant."""
    if call.name == "zero_" or (call.name == "fill_" and not isinstance(call.get(1, "value"), Tensor)):
        return FIXED
    source = call.get(1, "src")
    known = call.known(source)
    if known is None or tuple(source.shape) != tuple(call.out.shape):
        raise Unsupported("copies a constant, or values that are broadcast, into values that depend on the input")
    return known


def cast(call: Call) -> Known:
    """to(...), type(...): nothing but the type or the device changes; types that round are refused."""
    kind = call.out.dtype
    if kind in (torch.float32, torch.float64):
        return same(call)
    if kind.is_floating_point:
        raise Unsupported(f"rounds to {str(kind).removeprefix('torch.')}")
    return whole_numbers(call)


def whole_numbers(call: Call) -> Known:
    """A cast to whole numbers, which changes nothing about spikes; to bool, of which every other number is 1."""
    x = call.input()
    if call.name == "bool":
        known = signs.mapped(call, x, lambda values: np.where(values != 0, 1.0, 0.0))
        if known is not None:
            return known
    if all(c.ndim == 0 and float(c).is_integer() for c in (*x.terms.values(), x.constant)) and _counts(call, x):
        return x
    if call.name in ("int", "long", "short") and levels.is_clamped(x):
        whole: Symbol = levels.rounded(call, x, levels.FIRST["trunc"], down=True)
        return whole
    raise Unsupported("rounds to whole numbers", mend=SEVERAL)


def _counts(call: Call, x: Symbol) -> bool:
    neurons = spiking(call)
    return all(getattr(f, "node", "") in neurons for f in x.factors())


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("flatten", "reshape", "view", "unflatten", "squeeze", "unsqueeze", "view_as"), reshape),
    **dict.fromkeys(("reshape_as", "squeeze_", "unsqueeze_", "ravel", "atleast_1d"), reshape),
    "permute": permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims", "transpose_", "get_T", "get_mT", "t"), transpose),
    "movedim": movedim,
    "moveaxis": movedim,
    "stack": stack,
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    **dict.fromkeys(("unbind", "__iter__", "chunk", "split"), unbind),
    **dict.fromkeys(("contiguous", "clone", "detach", "detach_", "get_data", "requires_grad_", "cpu", "cuda"), same),
    **dict.fromkeys(("copy_", "zero_", "fill_"), copied),
    **dict.fromkeys(("identity", "positive", "alias", "nan_to_num"), same),
    **dict.fromkeys(("to", "type", "float", "double", "type_as", "half", "bfloat16"), cast),
    **dict.fromkeys(("int", "long", "byte", "bool", "short", "char"), whole_numbers),
}
