"""Read-only arrays, their equality to the bit, and how they spread over the neurons of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikeport.findings import require

Array = NDArray[Any]


def frozen(value: ArrayLike) -> Array:
    """A read-only view of ``value``; the caller's own array stays writable, and nothing is copied."""
    view = np.asarray(value).view()
    view.flags.writeable = False
    return view


def same_bits(a: Array, b: Array) -> bool:
    """True where dtype, shape and every bit agree (so NaN equals NaN, and 0.0 differs from -0.0)."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(np.array_equal(_bytes(a), _bytes(b)))


def _bytes(array: Array) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def over_neurons(parameter: Array, shape: Sequence[int], *, name: str = "parameter") -> Array:
    """``parameter`` of shape [], [C] or [*shape], shaped so that it broadcasts over neurons of shape [*shape].

    C is the leading axis of ``shape``. Raises SP104 for any other shape.
    """
    if parameter.ndim == 0 or parameter.shape == tuple(shape):
        return parameter
    fits = parameter.ndim == 1 and len(shape) > 0 and parameter.shape[0] == shape[0]
    require(
        fits,
        "SP104",
        f"{name} has shape {parameter.shape}, which fits neither one value, nor {tuple(shape[:1])} channels, "
        f"nor {tuple(shape)} neurons",
        mend="give one value, one value a channel, or one value a neuron",
    )
    return parameter.reshape(parameter.shape + (1,) * (len(shape) - 1))


def schedule_over_neurons(schedule: Array, shape: Sequence[int], *, name: str = "threshold") -> Array:
    """A schedule of shape [T], [T, C] or [T, *shape], shaped so that it broadcasts over [T, *shape]."""
    if schedule.ndim == 1:
        return schedule.reshape(schedule.shape + (1,) * len(shape))
    first = over_neurons(schedule[0], shape, name=name)
    return schedule.reshape(schedule.shape[:1] + first.shape)


def in_units(value: Array, unit: Array, shape: Sequence[int], *, lead: int = 0) -> Array:
    """``value`` over ``unit``, each [], [C] or [*shape], and ``value`` with ``lead`` axes of time before (0 or 1).

    The quotient has no more axes than they need. Raises SP104 for any other shape.
    """
    spread = schedule_over_neurons(value, shape) if lead else over_neurons(value, shape)
    quotient = np.asarray(spread / over_neurons(unit, shape))
    if max(value.ndim - lead, unit.ndim) > 1:
        return quotient
    return quotient.reshape((*value.shape[:lead], *np.broadcast_shapes(value.shape[lead:], unit.shape)))


def compact(value: Array) -> Array:
    """[] or [C] where a parameter holds one value, or one a channel; what over_neurons spread is put back."""
    if value.size == 1:
        return value.reshape(())
    return value.reshape(-1) if all(size == 1 for size in value.shape[1:]) else value


def compact_schedule(value: Array) -> Array:
    """The same for a schedule: [T], [T, C] or [T, *shape]."""
    if all(size == 1 for size in value.shape[2:]):
        flat = value.reshape(len(value), -1)
        return flat[:, 0] if flat.shape[1] == 1 else flat
    return value
