"""What joins, products, selections and repetitions of features become: operations of the graph.

Axes that are only regrouped or permuted cost no node: a `Symbol` follows them. An operation needs its operands as they
lie in the tensor, so they are *settled* first, behind a `Reshape` where their node has other features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport.graph import LIF, Concat, Gate, MatMul, Operation, Repeat, Reshape, Shape, Slice, Sum
from spikeport.tracing.algebra import scaled
from spikeport.tracing.axes import regrouped
from spikeport.tracing.draft import Draft
from spikeport.tracing.functions import tensors
from spikeport.tracing.symbols import Axes, Label, Symbol, Unsupported
from spikeport.tracing.waiting import Waiting

if TYPE_CHECKING:
    from spikeport.tracing.call import Call
    from spikeport.tracing.tracer import Tracer


def lead_of(x: Symbol) -> int:
    """How many axes of the tensor come before its features: those of time and batch."""
    return 1 + max((n for n, group in enumerate(x.axes) if set(group) & {"T", "B"}), default=-1)


def settled(tracer: Tracer, x: Symbol) -> Symbol:
    """The same tensor where each axis behind time and batch is one feature axis of its node, in order."""
    lead = lead_of(x)
    before: list[tuple[Label, ...]] = []
    order: list[int] = []
    for group in x.axes[:lead]:
        inside = [label for label in group if isinstance(label, int)]
        if any(x.shape[label] > 1 for label in inside):
            raise Unsupported("needs time and batch before the features")
        order += inside
        before.append(tuple(label for label in group if not isinstance(label, int)))
    shape = tuple(math.prod(tracer.size(x.shape, label) for label in group) for group in x.axes[lead:])
    order += [int(label) for group in x.axes[lead:] for label in group]
    if not shape:
        raise Unsupported("needs features behind time and batch")
    axes: Axes = (*before, *((n,) for n in range(len(shape))))
    if shape == x.shape and order == sorted(order):
        return x if axes == x.axes else x.viewed(axes)
    return _moved(tracer, x, Reshape(tuple(order), shape), axes)


def channels_first(tracer: Tracer, x: Symbol) -> Symbol:
    """The same tensor, whose last axis is the first of its node's features: tokens [N, C] as channels of N places."""
    x = settled(tracer, x)
    return fronted(tracer, x, len(x.axes) - 1)


def fronted(tracer: Tracer, x: Symbol, axis: int) -> Symbol:
    """The same tensor, one of whose axes is the first of its node's features; each axis must be one feature's."""
    lead = lead_of(x)
    labels = [label for group in x.axes[lead:] for label in group if isinstance(label, int)]
    order = (labels[axis - lead], *(label for n, label in enumerate(labels) if n != axis - lead))
    after = [order.index(label) for label in labels]
    axes: Axes = (*x.axes[:lead], *((n,) for n in after))
    return _moved(tracer, x, Reshape(order, tuple(x.shape[label] for label in order)), axes)


def _moved(tracer: Tracer, x: Symbol, node: Operation, axes: Axes) -> Symbol:
    path, alone = tracer.place()
    return tracer.draft.apply(node, x, axes, path, alone, type(node).__name__.lower())


def settle(call: Call) -> Callable[[], None] | None:
    """Settle every followed argument of a call; how to undo that, or None where nothing changed."""
    before = []
    for value in tensors((call.args, call.kwargs)):
        known = call.tracer.known_of(value)
        try:
            now = settled(call.tracer, known) if isinstance(known, Symbol) else known
        except Unsupported:
            continue
        if now is not known and now is not None and known is not None:
            call.tracer.know(value, now)
            before.append((value, known))

    def undo() -> None:
        for value, known in before:
            call.tracer.know(value, known)

    return undo if before else None


def handled(handler: Callable[[Call], Any], call: Call) -> Any:
    """What a handler makes of a call; where it cannot, of the same tensors with their features in order."""
    try:
        return handler(call)
    except Unsupported:
        undo = settle(call)
        if undo is None:
            raise
    try:
        return handler(call)
    except Unsupported:
        undo()
        raise


def in_order(tracer: Tracer, x: Symbol) -> Symbol:
    """The tensor settled where it can be, else as it is."""
    try:
        return settled(tracer, x)
    except Unsupported:
        return x


def reshaped(call: Call, x: Symbol) -> Symbol:
    """Features taken apart or grouped anew: the axes of time and batch stay as they are in memory."""
    labels = x.labels
    count = next((n for n, label in enumerate(labels) if isinstance(label, int)), len(labels))
    shape = tuple(call.out.shape)
    whole = math.prod(call.size(label) for label in labels[:count])
    prefix = next((n for n in range(len(shape)) if math.prod(shape[:n]) == whole), None)
    order = [label for label in labels[count:] if isinstance(label, int)]
    if prefix is None or len(order) < len(labels) - count:
        raise Unsupported("mixes features with time or batch")
    before = regrouped(labels[:count], call.size, shape[:prefix]) if prefix else ()
    axes: Axes = (*before, *((n,) for n in range(len(shape) - prefix)))
    return _moved(call.tracer, x, Reshape(tuple(order), shape[prefix:]), axes)


def concatenated(call: Call, parts: Sequence[Symbol | Shape], axis: int) -> Symbol:
    """Values side by side along an axis of features; of zeros, which a later step replaces, the tensor's shape."""
    known = [settled(call.tracer, x) for x in parts if isinstance(x, Symbol)]
    lead = lead_of(known[0])
    if axis < lead or len({len(x.axes) for x in known}) > 1:
        raise Unsupported("joins values along time or batch")
    rest = iter(known)
    whole = [x[lead:] if isinstance(x, tuple) else next(rest) for x in parts]
    return _joined(call, lambda names: Concat(axis=axis - lead, operands=names), whole)


def stacked(call: Call, parts: Sequence[Symbol], axis: int) -> Symbol:
    """Values along an axis of their own, of length 1 so far; before time or batch it is joined as the last one."""
    if not call.tracer.stack or axis >= max(lead_of(part) for part in parts):  # a module's results are steps, or none
        return concatenated(call, parts, axis)
    ends = [part.viewed((*part.axes[:axis], *part.axes[axis + 1 :], part.axes[axis])) for part in parts]
    whole = concatenated(call, ends, len(ends[0].axes) - 1)
    return whole.viewed((*whole.axes[:axis], whole.axes[-1], *whole.axes[axis:-1]))


def gated(call: Call, x: Symbol, y: Symbol) -> Symbol:
    """A product place by place in which axes of length 1 count for all places along them."""
    return _joined(call, lambda names: Gate(operands=names), [settled(call.tracer, each) for each in (x, y)])


def are_moved_spikes(draft: Draft, *parts: Symbol) -> bool:
    """Whether each is one node's spikes, and one of them not a neuron layer's own."""
    names = [factor.node for x in parts for factor in x.factors()]
    single = all(len(x.terms) == 1 and not x.constant.any() for x in parts)
    return single and all(_spikes(draft, name) for name in names) and not all(_fires(draft, name) for name in names)


def _fires(draft: Draft, name: str) -> bool:
    node = draft.nodes.get(name)
    return isinstance(node, LIF) or (isinstance(node, Waiting) and node.binary)


def _spikes(draft: Draft, name: str) -> bool:
    """Whether a node sends 0 and 1 only: neurons, and operations that move or multiply those of one layer each."""
    node = draft.nodes.get(name)
    if _fires(draft, name) or not isinstance(node, Operation):
        return _fires(draft, name)
    sources = [a for a, b in draft.edges if b == name]
    one = len(sources) == 1 or len(sources) == len(set(node.operands))
    return one and (node.moves or isinstance(node, Gate)) and all(_spikes(draft, source) for source in sources)


def matrix_product(call: Call, x: Symbol, y: Symbol) -> Symbol:
    """x @ y over the last two axes of features."""
    return _joined(call, lambda names: MatMul(operands=names), [settled(call.tracer, each) for each in (x, y)])


def _joined(call: Call, build: Callable[[tuple[str, ...]], Operation], parts: Sequence[Symbol | Shape]) -> Symbol:
    known = [x for x in parts if isinstance(x, Symbol)]
    leads = [x.axes[: lead_of(x)] for x in known]
    if any(len(lead) != len(leads[0]) for lead in leads):
        raise Unsupported("joins values of different axes of time and batch")
    lead: list[tuple[Label, ...]] = []
    for groups in zip(*leads, strict=True):
        if len({group for group in groups if group}) > 1:
            raise Unsupported("joins values whose axes lie in another order")
        lead.append(next((group for group in groups if group), ()))
    if any("T" in group for group in lead) and not all(x.timed or x.steady for x in known):
        raise Unsupported("joins values of different time layouts: one step's value with every step's")
    path, alone = call.tracer.place()
    return call.tracer.draft.join(build, parts, tuple(lead), path, alone)


def summed(call: Call, x: Symbol, dims: Sequence[int], kind: str, keep: bool) -> Symbol:
    """A sum or mean over some axes of features."""
    order = sorted(range(len(x.axes)), key=lambda n: not set(x.axes[n]) & {"T", "B"})
    if order != sorted(order):  # features before time or batch
        behind = summed(call, x.viewed(tuple(x.axes[n] for n in order)), [order.index(d) for d in dims], kind, keep)
        left = [n for n in order if keep or n not in dims]
        return behind.viewed(tuple(behind.axes[left.index(n)] for n in sorted(left)))
    x = settled(call.tracer, x)
    lead = lead_of(x)
    axes = tuple(d - lead for d in dims if d >= lead)
    if len(axes) < len(dims):
        raise Unsupported("is over the batch, which mixes samples")
    y = _moved(call.tracer, x, Sum(axes), x.axes)
    y = scaled(y, np.asarray(1 / math.prod(x.shape[axis] for axis in axes))) if kind == "mean" else y
    return y if keep else without(y, [axis + lead for axis in axes])


def without(x: Symbol, dims: Sequence[int]) -> Symbol:
    """The tensor without some axes of length 1, whose labels go to a neighbour: a feature, else time or the batch."""
    groups = [list(group) for group in x.axes]
    kept = [n for n in range(len(groups)) if n not in dims]
    neighbours = [n for n in kept if n >= lead_of(x)] or kept[-1:]
    for d in dims:
        near = max((n for n in neighbours if n < d), default=min(neighbours, default=-1))
        if near < 0:
            raise Unsupported("leaves no feature")
        groups[near] = groups[near] + groups[d] if near < d else groups[d] + groups[near]
    return x.viewed(tuple(tuple(groups[n]) for n in kept))


def sliced(tracer: Tracer, x: Symbol, axis: int, start: int, stop: int) -> Symbol:
    """A part of the features, along an axis of the tensor."""
    x = settled(tracer, x)
    at = axis - lead_of(x)
    if at < 0:
        raise Unsupported("selects a part of the batch")
    if (start, stop) == (0, x.shape[at]):
        return x
    return _moved(tracer, x, Slice(start, stop, at), x.axes)


def strided(call: Call, x: Symbol, axis: int, places: range) -> Symbol:
    """Places a step apart along an axis of the tensor: one of each window of that length, the last one if need be."""
    x = settled(call.tracer, x)
    lead = lead_of(x)
    at, step = axis - lead, places.step
    if at < 0:
        raise Unsupported("selects a part of the batch")
    if len(places) == 1:
        return sliced(call.tracer, x, axis, places.start, places.start + 1)
    first = min(places.start, x.shape[at] - len(places) * step)  # of the first window
    if first < 0:
        ends = [strided(call, x, axis, part) for part in (places[:-1], places[-1:])]
        return concatenated(call, ends, axis)
    x = sliced(call.tracer, x, axis, first, first + len(places) * step)
    windows = (*x.shape[:at], len(places), step, *x.shape[at + 1 :])
    apart: Axes = (*x.axes[:lead], *((n,) for n in range(len(windows))))
    x = _moved(call.tracer, x, Reshape(tuple(range(len(x.shape))), windows), apart)
    return taken(call.tracer, x, axis + 1, places.start - first)


def taken(tracer: Tracer, x: Symbol, axis: int, number: int) -> Symbol:
    """One of the features along an axis of the tensor, which goes."""
    return without(sliced(tracer, x, axis, number, number + 1), [axis])


def repeated(tracer: Tracer, x: Symbol, counts: Sequence[int]) -> Symbol:
    """Each value so many times along each axis of the tensor, copies side by side."""
    x = settled(tracer, x)
    lead = lead_of(x)
    if any(count != 1 for count in counts[:lead]):
        raise Unsupported("repeats the batch")
    return _moved(tracer, x, Repeat(tuple(counts[lead:])), x.axes)


def spread(tracer: Tracer, x: Symbol, y: Symbol) -> tuple[Symbol, Symbol]:
    """Two values that only broadcasting makes equal, each repeated along the axes in which it has length 1."""
    x, y = settled(tracer, x), settled(tracer, y)
    if lead_of(x) != lead_of(y) or len(x.shape) != len(y.shape):
        raise Unsupported(f"joins features {x.shape} and {y.shape}, which only broadcasting makes equal")
    whole = tuple(max(a, b) for a, b in zip(x.shape, y.shape, strict=True))
    if any(size not in (1, full) for each in (x, y) for size, full in zip(each.shape, whole, strict=True)):
        raise Unsupported(f"joins features {x.shape} and {y.shape}")
    ones = (1,) * lead_of(x)
    counts = [tuple(full // size for size, full in zip(each.shape, whole, strict=True)) for each in (x, y)]
    parts = [
        each if set(count) <= {1} else repeated(tracer, each, (*ones, *count))
        for each, count in zip((x, y), counts, strict=True)
    ]
    return parts[0], parts[1]
