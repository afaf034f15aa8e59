"""A result in the shape that the module gives it, behind a `Flatten` or a `Reshape` where its nodes have another."""

from __future__ import annotations

import math

import numpy as np

from spikeport.graph import Array, Flatten, Node, Reshape, Shape
from spikeport.tracing.operations import lead_of
from spikeport.tracing.symbols import Axes, Out, Product, Symbol, Unsupported, compact, over
from spikeport.tracing.tracer import Tracer
from spikeport.tracing.waiting import Waiting


def as_returned(tracer: Tracer, x: Symbol) -> Symbol:
    """The result whose features are the axes of the tensor, in their order; as it is, where that cannot be."""
    try:
        return _in_shape(tracer, x)
    except Unsupported:
        return x


def _in_shape(tracer: Tracer, x: Symbol) -> Symbol:
    lead = lead_of(x)
    groups = x.axes[lead:]
    order = tuple(label for group in groups for label in group if isinstance(label, int))
    shape = tuple(math.prod(x.shape[label] for label in group if isinstance(label, int)) for group in groups)
    before = [tuple(label for label in group if not isinstance(label, int)) for group in x.axes[:lead]]
    left = set(range(len(x.shape))) - set(order)  # those of length 1 that lie beside time or batch
    if not shape or any(x.shape[label] > 1 for label in left):
        raise Unsupported("has no features behind time and batch")
    order = (*sorted(left), *order)
    whole: Axes = (*before, *((n,) for n in range(len(shape))))
    if shape == x.shape and order == tuple(range(len(order))):
        return x if x.axes == whole else x.viewed(whole)
    long = [label for label in order if x.shape[label] > 1]
    node: Node = Flatten() if len(shape) == 1 and long == sorted(long) else Reshape(order, shape)
    x = tracer.draft.gated(x)
    terms: dict[Product, Array] = {}
    path, alone = tracer.place()
    for product, factor in x.terms.items():
        (out,) = product
        if not isinstance(out, Out) or _is_peak(tracer, out):
            raise Unsupported("is a membrane, or the highest of all steps, which nothing leaves")
        one = Symbol({product: np.ones(())}, x.shape, x.axes)
        (moved,) = tracer.draft.apply(node, one, whole, path, alone, type(node).__name__.lower()).terms
        terms[moved] = _moved(factor, x.shape, order, shape)
    return Symbol(terms, shape, whole, _moved(x.constant, x.shape, order, shape), x.causes)


def _is_peak(tracer: Tracer, out: Out) -> bool:
    node = tracer.draft.nodes[out.node]
    return out.step is None and isinstance(node, Waiting) and node.analog


def _moved(value: Array, before: Shape, order: tuple[int, ...], shape: Shape) -> Array:
    """A coefficient [], [C] or [*before] of the features where they went."""
    if value.ndim == 0:
        return value
    return compact(np.broadcast_to(over(value, before), before).transpose(order).reshape(shape))
