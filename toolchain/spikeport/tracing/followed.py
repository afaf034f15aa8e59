"""What is known of the tensors of a run, for as long as they live."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from spikeport.tracing.call import FIXED
from spikeport.tracing.functions import tensors
from spikeport.tracing.left_over import held
from spikeport.tracing.symbols import Known, Lost, Steps, Symbol


@dataclass(frozen=True, eq=False)
class Stack:
    """Tensors along a new axis."""

    parts: tuple[Any, ...]  #: what is known of each, or `FIXED`
    inner: tuple[Stack | None, ...]  #: of those that are stacks themselves
    axis: int


class Followed:
    """Tensors that come from the input, those that come from factories and parameters alone, and stacks of them."""

    def __init__(self, root: nn.Module) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], Known]] = {}
        self._fixed: dict[int, weakref.ref[Tensor]] = {}
        self._stacks: dict[int, tuple[weakref.ref[Tensor], Stack]] = {}
        self._draws: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self.own = {id(t): t for t in (*root.parameters(), *held(root))}

    def known_of(self, value: Any) -> Known | None:
        """What is known of a tensor, None for constants and for what is no tensor."""
        entry = self._known.get(id(value)) if isinstance(value, Tensor) else None
        return entry[1] if entry else None

    def know(self, value: Tensor, known: Known) -> None:
        """Follow a tensor for as long as it lives."""
        self._known[id(value)] = (self._watched(value, self._known), known)
        self._fixed.pop(id(value), None)

    def _watched(self, value: Tensor, table: dict[int, Any]) -> weakref.ref[Tensor]:
        """A reference that takes the tensor out of a table when it dies, since its id may then be another's."""
        place = id(value)

        def gone(reference: weakref.ref[Tensor]) -> None:
            entry = table.get(place)
            if entry is reference or (isinstance(entry, tuple) and entry[0] is reference):
                del table[place]

        return weakref.ref(value, gone)

    def followed(self) -> list[tuple[Tensor, Known]]:
        """The tensors of which something is known."""
        return [(t, k) for r, k in self._known.values() if not isinstance(k, Lost) and (t := r()) is not None]

    # -- constants ----------------------------------------------------------------------------------------------------

    def free(self, value: Tensor) -> bool:
        """Whether a tensor hides no value of the input: it is fixed, the module's own, or one number."""
        return id(value) in self._fixed or id(value) in self.own or value.numel() == 1

    def fix(self, out: Any) -> None:
        """Note that a tensor comes from factories such as torch.zeros, and from parameters, alone."""
        for value in tensors(out):
            if id(value) not in self.own:
                self._fixed[id(value)] = self._watched(value, self._fixed)

    def is_fixed(self, value: Any) -> bool:
        """Whether a tensor comes from factories and parameters alone."""
        return id(value) in self._fixed

    def unfix(self, value: Tensor) -> None:
        """Something else was written into a tensor."""
        del self._fixed[id(value)]

    def fixed(self) -> list[tuple[Tensor, None]]:
        """The tensors that come from factories and parameters alone."""
        return [(t, None) for r in self._fixed.values() if (t := r()) is not None]

    # -- random numbers -----------------------------------------------------------------------------------------------

    def draw(self, sources: Sequence[Tensor], out: Any, line: str) -> None:
        """Note where random numbers come from: ``line``, or the tensors of which they were made."""
        words = line or next((words for value in sources if (words := self.drawn_at(value))), "")
        for value in tensors(out) if words else ():
            self._draws[id(value)] = (self._watched(value, self._draws), words)

    def drawn_at(self, value: Any) -> str:
        """The line that drew the random numbers of a tensor; nothing where it has none."""
        return self._draws[id(value)][1] if id(value) in self._draws else ""

    # -- stacks -------------------------------------------------------------------------------------------------------

    def stacked(self, parts: Sequence[Any], axis: int, out: Tensor) -> None:
        """Remember of what a tensor was stacked: a module may hand several states on as one, and take it apart."""
        known = [self.known_of(part) or (FIXED if self.is_fixed(part) else None) for part in parts]
        if None not in known:
            inner = [self._stacks.get(id(part)) for part in parts]
            self._remember(out, Stack(tuple(known), tuple(each and each[1] for each in inner), axis))

    def _remember(self, value: Tensor, stack: Stack | None) -> None:
        if stack is not None:
            self._stacks[id(value)] = (self._watched(value, self._stacks), stack)

    def same_stack(self, value: Tensor, out: Tensor) -> None:
        """``out`` is ``value`` under another name."""
        if id(value) in self._stacks and value is not out:
            self._remember(out, self._stacks[id(value)][1])

    def _is_time(self, known: Known | None, stack: Stack, timesteps: int | None) -> bool:
        """Whether a stack is a block over time."""
        if isinstance(known, Steps):
            return timesteps in (None, len(known.steps))
        return isinstance(known, Symbol) and known.axes[stack.axis] == ("T",)

    def apart(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any, timesteps: int | None) -> bool:
        """Whether a function took one part out of a stack, or each of them, which are known then."""
        entry = self._stacks.get(id(args[0])) if args else None
        if entry is None:
            return False
        stack, rest = entry[1], [*args[1:], *kwargs.values()]
        if self._is_time(self.known_of(args[0]), stack, timesteps):
            return False
        every = range(len(stack.parts))
        numbers: Sequence[int] | None = None
        if name in ("__iter__", "unbind") and (rest[0] if rest else 0) % args[0].ndim == stack.axis:
            numbers = every
        at = rest if name == "select" else [0, *rest] if name == "__getitem__" else []
        if len(at) == 2 and all(type(n) is int for n in at) and at[0] % args[0].ndim == stack.axis:
            numbers = [every[at[1]]]
        for tensor, number in zip(tensors(out), numbers or (), strict=False):
            known = stack.parts[number]
            if known is FIXED:
                self.fix(tensor)
            else:
                self.know(tensor, known)
            self._remember(tensor, stack.inner[number])
        return numbers is not None
