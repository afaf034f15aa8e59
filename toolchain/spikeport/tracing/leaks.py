"""States between layers: a membrane that only leaks, with a current or without, enters a layer step by step.

What enters at step k is a sum over all steps up to k. The sum over time before a last layer looks the same to whoever
sees one step; so a module is followed twice: a layer that gets such a sum where it got a part of it before stands
behind a state. `Scale` of 1 adds the state up, `Delay` hands it on, `Scale` fades it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from spikeport.graph import Delay, Edge, Node, Scale, Shape
from spikeport.tracing.axes import with_time
from spikeport.tracing.draft import Draft
from spikeport.tracing.registry import Cells
from spikeport.tracing.responses import Leak, leak_of
from spikeport.tracing.symbols import ALL, Out, Steps, Symbol, Unsupported
from spikeport.tracing.waiting import Drawn, Waiting

ONE = np.ones(())

Key = tuple[str, str]  #: where a layer is called, and by which function


@dataclass
class Leaks:
    """The layers of a module that stand behind a state."""

    draft: Draft
    known: frozenset[Key] = frozenset()  #: as another run of the module showed
    seen: set[Key] = field(default_factory=set)  #: as this run shows
    _calls: dict[Key, list[Symbol]] = field(default_factory=dict)
    _names: dict[Key, str] = field(default_factory=dict)

    def entering(self, key: Key, x: Symbol, path: str) -> Symbol:
        """One step of what enters a layer: as it is, or as what leaves the state that it belongs to."""
        if x.timed or not x.terms:
            return x
        calls = self._calls.setdefault(key, [])
        calls.append(self.draft.gated(x))
        if key not in self.known:
            if len(calls) > 1 and _lasts(calls):
                self.seen.add(key)
            return x
        if key not in self._names:
            where = f"module {path!r}" if path else "the module"
            self._names[key] = name = self.draft.name(path, False, "leak")
            self.draft.add(name, _waiting(where, x.shape, lambda: _by_step(calls)), [], x.shape)
        name = self._names[key]
        self.draft.causes[name] |= x.causes
        return Symbol({frozenset([Out(name, _step(calls))]): ONE}, x.shape, x.axes, causes=x.causes)


def of_block(draft: Draft, block: Steps, path: str) -> Symbol:
    """A block whose steps are the membranes of states, as what leaves these."""
    steps = [step for step in block.steps if step is not None]
    key = ("leak", *map(id, steps))
    if key not in draft.keys:
        draft.keys[key] = name = draft.name(path, False, "leak")
        draft.kept += steps
        plain = [draft.gated(step) for step in steps]
        where = f"module {path!r}" if path else "the module"
        draft.add(name, _waiting(where, steps[0].shape, lambda: plain), [], steps[0].shape, block.causes)
    out = Out(draft.keys[key], ALL)
    return Symbol({frozenset([out]): ONE}, steps[0].shape, with_time(steps[0].axes, block.axis), causes=block.causes)


def _lasts(calls: Sequence[Symbol]) -> bool:
    """Whether the last call counts steps that another call counted before it."""
    nodes = [factor.node for factor in calls[-1].factors()]
    if len(nodes) > len(set(nodes)):
        return True
    before, last = calls[-2], calls[-1]
    same = before.terms.keys() == last.terms.keys()
    return last.steady and same and any(not np.array_equal(before.terms[p], last.terms[p]) for p in last.terms)


def _step(calls: Sequence[Symbol]) -> int:
    steps = [factor.step for factor in calls[-1].factors() if factor.step is not None]
    return max(steps) if steps else len(calls) - 1


def _by_step(calls: Sequence[Symbol]) -> list[Symbol]:
    """What entered at each step, nothing where the layer was not called yet."""
    first = _step(calls[:1])
    if [_step(calls[: n + 1]) for n in range(len(calls))] != list(range(first, first + len(calls))):
        raise Unsupported("is behind a state, and not called once a step")
    return [Symbol({}, calls[0].shape, calls[0].axes)] * first + list(calls)


def _waiting(where: str, shape: Shape, steps: Callable[[], list[Symbol]]) -> Waiting:
    def build(timesteps: int) -> Drawn:
        try:
            leak = leak_of(steps())
        except Unsupported as reason:
            raise Unsupported(f"gets membranes that {reason}") from None
        return Drawn(_cells(leak, shape), leak.inputs, leak.bias)

    return Waiting(where, shape, build, analog=True)


def _cells(leak: Leak, shape: Shape) -> Cells:
    """The membrane, which has the layer's name, behind its current where there is one."""
    parts: dict[str, Node] = {}
    wires: list[Edge] = []
    for state, decay in (("", leak.decay), ("current", leak.current)):
        if not decay.any():
            continue
        past, keep = (".".join(word for word in (state, part) if word) for part in ("past", "keep"))
        parts |= {**({state: Scale(ONE)} if state else {}), past: Delay(shape, 1), keep: Scale(decay)}
        wires += [(state, past), (past, keep), (keep, state)]
    if "current" in parts:
        return Cells(Scale(ONE), parts=parts, wires=(*wires, ("current", "")), entry=("current",))
    return Cells(Scale(ONE), parts=parts, wires=tuple(wires))
