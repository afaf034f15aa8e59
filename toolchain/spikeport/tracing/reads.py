"""Values that a module reads out of tensors into Python. What it does with them there is not followed.

A number that `item` or `tolist` gave may be logged, averaged or stored; a comparison of it is a branch on values, which
is reported where it happens. So are lengths that depend on values, as the number of places where something spikes is.
What leaves as a plain number or an array is out of sight: the graph's notes say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from spikeport.findings import Finding

#: functions that read values out of tensors into Python
READS = {
    "__bool__": "branches on values",
    "item": "reads a value",
    "tolist": "reads values",
    "__float__": "reads a value",
    "__int__": "reads a value",
    "__index__": "branches on values",
    "numpy": "leaves torch",
    "__array__": "leaves torch",
    "equal": "compares values",
    "allclose": "compares values",
    "is_nonzero": "branches on values",
    "__contains__": "searches values",
}

#: those of them that decide something
BRANCHES = {"__bool__", "__index__", "is_nonzero", "equal", "allclose", "__contains__"}

#: those whose result Python takes as it is: nothing can be seen of what becomes of it
UNSEEN = {"__float__", "__int__", "__len__", "numpy", "__array__"}

VMAP = "is called under torch.vmap"
#: how a finding says where values left what is followed
STRAYED = "values leave what is followed"

#: functions whose result is as long as the values say
COUNTING = {"nonzero", "argwhere", "masked_select", "unique", "unique_consecutive"}

#: functions that give lengths
LENGTHS = {"size", "get_shape", "__len__", "numel", "nelement"}

ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
COMPARISONS = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__", "__bool__")


class ReadFloat(float):
    """A number that was read from a tensor; comparing it calls ``branch``."""

    branch: Callable[[], Any]
    __hash__ = float.__hash__


class ReadInt(int):
    """A whole number or a truth value that was read from a tensor; comparing it calls ``branch``."""

    branch: Callable[[], Any]
    __hash__ = int.__hash__


@dataclass
class Reads:
    """What a run read out of tensors that are followed."""

    report: Callable[..., int]  #: notes a finding about the line that runs now, and gives its number
    branches: set[int] = field(default_factory=set)  #: findings about branches on values
    unseen: set[int] = field(default_factory=set)  #: about values of which nothing is seen once they have left
    vmapped: bool = False  #: whether a function was called under `torch.vmap`
    left: set[int] = field(default_factory=set)  #: about all values that left, or that are not seen where they are

    def of(self, name: str, out: Any, *, counted: bool) -> Any:
        """What a function gave that is no tensor, so that comparing it is noted.

        ``counted``: it was asked of a tensor that is as long as values say.
        """
        what = READS.get(name, "counts places by their values" if counted and name in LENGTHS else "")
        if not what:
            return out
        number = self._noted(what, name)
        if name in BRANCHES or name in UNSEEN:
            (self.branches if name in BRANCHES else self.unseen).add(number)
            return out
        plain = tuple(out) if name == "get_shape" else out
        return watched(plain, lambda: self.branches.add(self._noted("branches on a value that was read", name)))

    def words(self, findings: Sequence[Finding]) -> list[str]:
        """What the graph's notes say of values that left torch, in terms of all ``findings``."""
        lines = "; ".join(sorted({findings[number].where for number in self.unseen}))
        return [f"values leave torch for Python, where a branch on them would not be seen: {lines}"] if lines else []

    def of_vmap(self, values: Iterable[Tensor]) -> None:
        """Note, once, that `torch.vmap` shows a function one sample alone."""
        if not self.vmapped and any(map(torch._C._functorch.is_batchedtensor, values)):
            self.vmapped = True
            self.left.add(self.report(VMAP, mend="call it on the whole batch: layers and numbers broadcast over it"))

    def strayed(self, finding: Finding, findings: Sequence[Finding]) -> Finding:
        """A finding about what does not come from the input, with the lines where values left what is followed."""
        places = [findings[number] for number in sorted(self.left)]
        if not places:
            return finding
        why = "; ".join(dict.fromkeys(f"{place.what}, {place.where}" for place in places))
        return replace(finding, why=f"{STRAYED}: {why}.", mend=places[0].mend)

    def _noted(self, what: str, name: str) -> int:
        why = "what the module does would depend on the sample."
        shown = f"{what} (Tensor.{name.removeprefix('get_')})"
        number = self.report(shown, why, "compute with tensors only", "SP381")
        self.left.add(number)
        return number


def watched(value: Any, branch: Callable[[], Any]) -> Any:
    """Numbers, and those in nested lists, so that ``branch`` is called when one is compared."""
    if isinstance(value, list | tuple):
        return type(value)(watched(inner, branch) for inner in value) if type(value) in (list, tuple) else value
    if not isinstance(value, int | float):
        return value
    number = ReadInt(value) if isinstance(value, int) else ReadFloat(value)
    number.branch = branch
    return number


def counts(name: str, args: Any) -> bool:
    """Whether a function's result is as long as values say: also where(condition) and x[mask]."""
    if name == "__getitem__":
        return any(isinstance(part, Tensor) and str(part.dtype) == "torch.bool" for part in args[1:])
    return name in COUNTING or (name == "where" and len(args) == 1)


def _compared(plain: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        self.branch()
        return plain(self, *others)

    return method


def _computed(plain: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        return watched(plain(self, *others), self.branch)

    return method


for _kind, _base in ((ReadFloat, float), (ReadInt, int)):
    for _name in COMPARISONS:
        setattr(_kind, _name, _compared(getattr(_base, _name)))
    for _name in ("__neg__", "__abs__", *(f"__{side}{word}__" for word in ARITHMETIC for side in ("", "r"))):
        setattr(_kind, _name, _computed(getattr(_base, _name)))
