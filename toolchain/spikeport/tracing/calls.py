"""The calls of neuron modules: which node fires, at which step, and where its state comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from spikeport.graph import Array
from spikeport.tracing.axes import words
from spikeport.tracing.draft import Draft
from spikeport.tracing.registry import Cells, Registered
from spikeport.tracing.schedules import Entering, of_calls
from spikeport.tracing.symbols import ALL, Known, Out, State, Symbol, Unsupported
from spikeport.tracing.waiting import Drawn, Inputs, Waiting


@dataclass(frozen=True)
class NeuronCall:
    """One call of a neuron module."""

    module: nn.Module
    kind: Registered
    path: str
    x: Symbol
    states: list[Any]  #: what it got besides its input
    returned: int  #: how many states it returned besides its spikes
    where: str  #: the module and the line, in words

    @property
    def every(self) -> bool:
        """Whether the call takes all timesteps."""
        return self.kind.steps(self.module) == "all"


@dataclass
class NeuronCalls:
    """All calls so far. A module with a state is one layer, fires once a step, in order, and starts from zero."""

    draft: Draft
    known_of: Callable[[Any], Known | None]
    steps: Callable[[int], None]
    _made: dict[int, int] = field(default_factory=dict)
    _nodes: dict[int, str] = field(default_factory=dict)
    _inputs: dict[str, list[Symbol]] = field(default_factory=dict)  #: what entered a layer, call by call

    def fire(self, call: NeuronCall) -> list[Known]:
        """The spikes, and the states that go with them."""
        x, module, every = call.x, call.module, call.every
        number = self._made.get(id(module), 0)
        self._check_input(call)
        if not every:
            self._made[id(module)] = number + 1
        late = [step for step in x.steps() if step not in (None, ALL)]
        if not every and late and max(late) != number:
            raise Unsupported(f"gets step {max(late)} at its call number {number}; a step must enter at its own time")
        name = self._node(call)
        if every and call.kind.stateful:
            if self._nodes.setdefault(id(module), name) != name:
                raise Unsupported("its state would pass between two places: it is called on different inputs")
            self._made[id(module)] = number + 1
            if number:
                raise Unsupported("its state would pass from one call to the next; call it once, or reset it")
        self._check_states(call, number)
        if not every:
            self._inputs[name].append(x)
        step = (ALL if x.timed else 0) if every else number
        spikes = Symbol({frozenset([Out(name, step)]): np.ones(())}, x.shape, x.axes, causes=x.causes)
        return [spikes, *(State(id(module), number) for _ in range(call.returned))]

    def _node(self, call: NeuronCall) -> str:
        """The layer: one a module with a state; one a module and input where calls stand alone."""
        module, x = call.module, call.x
        key: tuple[Any, ...] = ("neurons", id(module))
        if call.every:
            x = self.draft.gated(x)
            key += tuple(sorted((str(sorted(map(str, p))), c.tobytes()) for p, c in x.terms.items()))
            key += (x.constant.tobytes(),)
        if key not in self.draft.keys:
            name = self.draft.name(call.path, True, "neurons")
            self._inputs[name] = [x]
            if not call.every:
                self._inputs[name].clear()
            several, analog = call.kind.several(call.module), call.kind.analog
            layer = Waiting(call.where, x.shape, self._build(call, name), several, analog)
            self.draft.add(name, layer, [], x.shape, x.causes)
            self.draft.keys[key] = name
        name = self.draft.keys[key]
        self.draft.causes[name] |= x.causes
        return name

    def _build(self, call: NeuronCall, name: str) -> Callable[[int], Drawn]:
        def build(timesteps: int) -> Drawn:
            calls = self._inputs[name]
            if not call.every and len(calls) != timesteps:
                raise Unsupported(f"is called {len(calls)} times in {timesteps} timesteps", "SP384")
            try:
                whole = Entering(*unified(calls, self.draft))
            except Unsupported as reason:
                try:
                    whole = of_calls(calls, self.draft)
                except Unsupported:
                    raise reason from None
            converted = call.kind.convert(call.module, call.x.shape, timesteps)
            cells = converted if isinstance(converted, Cells) else Cells(converted)
            return whole.drawn(cells)

        return build

    def _check_input(self, call: NeuronCall) -> None:
        x = call.x
        features = tuple((n,) for n in range(len(x.shape)))
        rest = tuple(group for group in x.axes if group and group != ("T",))
        pure = rest == (("B",), *features) or (rest and rest[0] == ("B",) and len(x.axes) <= 3)
        if call.every and (("T",) not in x.axes or not pure):
            raise Unsupported(f"takes [T, B, ...], gets {words(x.axes)}", "SP383")
        if not call.every and (x.timed or not pure):
            raise Unsupported(f"takes one step [B, ...] a call, gets {words(x.axes)}", "SP383")

    def _check_states(self, call: NeuronCall, number: int) -> None:
        for value in call.states:
            known = self.known_of(value)
            if isinstance(known, State):
                if (known.module, known.step) != (id(call.module), number - 1):
                    raise Unsupported("gets the state of another layer or step", "SP383")
            elif known is not None or (isinstance(value, Tensor) and bool(value.any())):
                raise Unsupported("starts from a state that is not zero", "SP383")
            elif isinstance(value, Tensor) and number:
                mend = "hand the state of the last step on, or capture one call: forward='sample', timesteps=1"
                raise Unsupported("its state is set back to zero before each step", "SP383", mend)

    def count(self) -> int | None:
        """How many steps the neurons that take one step a call have run; None where there are none, or several."""
        counts = {len(calls) for name, calls in self._inputs.items() if calls and not calls[0].timed}
        return counts.pop() if len(counts) == 1 else None


def unified(calls: list[Symbol], draft: Draft) -> tuple[Inputs, Array]:
    """What enters a layer at every step: (node, steps later) -> factor, and a constant. Raises `Unsupported`."""
    steps = [draft.gated(x) for x in calls]
    inputs: dict[tuple[str, int], Array] = {}
    seen: dict[tuple[str, int], int] = {}
    for k, x in enumerate(steps):
        for product, factor in x.terms.items():
            (out,) = product
            if not isinstance(out, Out):
                raise Unsupported("takes the membrane of a hand-written neuron; only spikes pass between layers")
            lag = 0 if out.step in (None, ALL) else k - out.step
            first = inputs.setdefault((out.node, lag), factor)
            if first.shape != factor.shape or not np.array_equal(first, factor):
                raise Unsupported("what enters has another factor at other steps, which needs a gain a timestep")
            seen[out.node, lag] = seen.get((out.node, lag), 0) + 1
        if not np.array_equal(x.constant, steps[0].constant):
            raise Unsupported("what enters has another constant at other steps, which needs a bias a timestep")
    for (node, lag), count in seen.items():
        if count != len(steps) - lag:
            raise Unsupported(
                f"{node!r} enters at {count} of {len(steps)} steps: each step has a layer of its own there, which "
                "needs a node with a gain and bias a timestep"
            )
    if not inputs:
        raise Unsupported("takes a value that does not depend on the network's input")
    return inputs, steps[0].constant
