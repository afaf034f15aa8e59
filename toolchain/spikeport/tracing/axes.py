"""How axes of time, batch and features move through reshapes; nothing here changes the order of memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from spikeport.tracing.symbols import Axes, Label, Unsupported

Size = Callable[[Label], int]


def regrouped(labels: Sequence[Label], size: Size, shape: Sequence[int]) -> Axes:
    """The axes of a tensor of ``shape`` that holds ``labels`` in the same order of memory. Raises `Unsupported`."""
    waiting = list(labels)
    groups: list[tuple[Label, ...]] = []
    for length in shape:
        group: list[Label] = []
        product = 1
        if length == 1 and waiting and size(waiting[0]) == 1:
            group.append(waiting.pop(0))
        while product != length and waiting:
            product *= size(waiting[0])
            group.append(waiting.pop(0))
        if product != length:
            raise Unsupported(_split(group, length, size))
        groups.append(tuple(group))
    if waiting and not groups:
        raise Unsupported("removes every axis")
    if waiting:
        groups[-1] = (*groups[-1], *waiting)
    return tuple(groups)


def _split(group: Sequence[Label], length: int, size: Size) -> str:
    whole = " * ".join(f"{name(label)} ({size(label)})" for label in group) or "1"
    return f"turns {whole} into an axis of {length}; axes may be joined and taken apart again, not split anew"


def name(label: Label) -> str:
    """An axis in words."""
    if label == "T":
        return "time"
    if label == "B":
        return "batch"
    return "channels" if label == 0 else f"feature axis {label}"


def words(axes: Axes) -> str:
    """The axes of a tensor as people write them."""
    short = {"T": "T", "B": "B", 0: "C", 1: "H", 2: "W"}
    return "[" + ", ".join(" * ".join(str(short.get(a, a)) for a in g) or "1" for g in axes) + "]"


def sizes(axes: Axes, size: Size) -> tuple[int, ...]:
    """The shape of a tensor with these axes."""
    return tuple(math.prod(size(label) for label in group) for group in axes)


def lead_of(axes: Axes) -> int:
    """How many axes lie before the first feature."""
    for index, group in enumerate(axes):
        if any(isinstance(label, int) for label in group):
            return index
    return len(axes)


def without_time(axes: Axes) -> tuple[Axes, int]:
    """The axes of one step, and where the axis of time was. Raises `Unsupported` where time shares an axis."""
    if ("T",) not in axes:
        raise Unsupported("takes time apart while it is folded into another axis")
    where = axes.index(("T",))
    return axes[:where] + axes[where + 1 :], where


def with_time(axes: Axes, where: int) -> Axes:
    """The axes of a block of steps that lie along axis ``where``."""
    return (*axes[:where], ("T",), *axes[where:])
