"""What the tracer needs of tensors' forms: a flatten that waited, stand-ins for what is unsupported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from spikeport.graph import Array, Flatten, Norm, Shape
from spikeport.tracing.axes import regrouped, words
from spikeport.tracing.registry import array
from spikeport.tracing.symbols import Label, Lost, Strange, Symbol, Unsupported

if TYPE_CHECKING:
    from spikeport.tracing.tracer import Tracer


def flat(tracer: Tracer, x: Symbol) -> Symbol:
    """``x`` behind a `Flatten` where one of its axes holds all features in order; else as it is."""
    every = tuple(range(len(x.shape)))
    if len(every) < 2 or every not in x.axes:
        return x
    axes = tuple((0,) if group == every else group for group in x.axes)
    path, alone, op = x.place or ("", False, "flatten")
    return tracer.draft.apply(Flatten(), x, axes, path, alone and path != "", op if alone and path else "flatten")


#: what layers say of a call that is not theirs
ROWS = "takes samples and time in one axis, gets"


def unfolded(x: Symbol) -> Symbol:
    """``x`` [B * T, ...] as [B, T, ...]. Raises `Unsupported` for other axes."""
    if x.axes and x.axes[0] == ("T", "B"):
        raise Unsupported("takes all steps of a sample in a row, gets all samples of a step in a row", "SP383")
    if not x.axes or x.axes[0] != ("B", "T"):
        raise Unsupported(f"{ROWS} {words(x.axes)}", "SP383")
    return replace(x, axes=(("B",), ("T",), *x.axes[1:]))


def folded(x: Symbol) -> Symbol:
    """``x`` [B, T, ...] as [B * T, ...]."""
    return replace(x, axes=(("B", "T"), *x.axes[2:]))


def as_if(tracer: Tracer, args: Sequence[Any], out: Any, causes: frozenset[int], form: object) -> Symbol | Lost:
    """What to take the result of something unsupported for, so that what follows it is examined as well.

    The first argument as a tensor with the form of ``out``, the same axes of time and batch and other features. It
    stands for strange values, of the given ``form``, for which ``causes`` are why no graph holds them.
    """
    x = tracer.known_of(args[0]) if args else None
    if not isinstance(x, Symbol) or not isinstance(out, Tensor):
        return Lost(causes)
    symbol = _in_form(x, tuple(out.shape), tracer.size)
    if symbol is None:
        return Lost(causes)
    whole = symbol.causes | causes
    return replace(
        symbol, causes=whole, before=None, strange={Strange(whole, form): np.ones(())}, sound=frozenset[int]()
    )


def _in_form(x: Symbol, shape: Shape, size: Callable[[tuple[int, ...], Label], int]) -> Symbol | None:
    lead = [group for group in x.axes if not any(isinstance(label, int) for label in group)]
    head = tuple(math.prod(size(x.shape, label) for label in group) for group in lead)
    if shape[: len(head)] != head or len(shape) <= len(head):
        return None
    features = shape[len(head) :]
    if math.prod(features) == math.prod(x.shape):
        try:
            return x.viewed((*lead, *regrouped(range(len(x.shape)), lambda n: x.shape[int(n)], features)))
        except Unsupported:
            pass
    axes = (*lead, *((n,) for n in range(len(features))))
    plain = {product: factor if factor.ndim == 0 else np.ones(()) for product, factor in x.terms.items()}
    return Symbol(plain, features, axes, x.constant if x.constant.ndim == 0 else 0 * x.constant.flat[0], x.causes)


def norm_of(module: Any, number: Callable[[Any], Array]) -> Norm:
    """spikeport's tdBN as a node."""
    return Norm(
        gamma=number(array(module.weight)),
        beta=number(array(module.bias)),
        mean=number(array(module.running_mean)),
        var=number(array(module.running_var)),
        eps=module.eps,
        scale=module.scale,
    )
