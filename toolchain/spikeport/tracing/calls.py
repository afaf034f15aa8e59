"""The calls of neuron modules: which node fires, at which step, and where its state comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from spikeport.tracing.draft import Draft
from spikeport.tracing.registry import Registered
from spikeport.tracing.symbols import Known, State, Symbol, Unsupported

LAYOUTS = {"frame": "[B, ...]", "all": "[T, B, ...]", "one": "[1, B, ...]", "merged": "[T * B, ...]"}


@dataclass(frozen=True)
class NeuronCall:
    """One call of a neuron module."""

    module: nn.Module
    kind: Registered
    path: str
    x: Symbol
    states: list[Any]  #: what it got besides its input
    returned: int  #: how many states it returned besides its spikes

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
    _single: set[int] = field(default_factory=set)

    def fire(self, call: NeuronCall) -> list[Known]:
        """The spikes, and the states that go with them."""
        x, module, every = call.x, call.module, call.every
        number = self._made.get(id(module), 0)
        self._made[id(module)] = number + 1
        self._check_input(call)
        stateful = not every or call.kind.stateful
        if stateful and x.step not in (None, number):
            raise Unsupported(f"gets step {x.step} at its call number {number}; a step must enter at its own time")
        name = self.draft.neurons(module, call.kind, x, call.path)
        if stateful and self._nodes.setdefault(id(module), name) != name:
            raise Unsupported("its state would pass between two places: it is called on different inputs")
        if stateful and every and number:
            raise Unsupported("its state would pass from one call to the next; call it once, or reset it")
        self._check_states(call, number)
        if not every:
            self._single.add(id(module))
        spikes = Symbol({name: 1}, x.shape, x.layout, None if every else number)
        return [spikes, *(State(id(module), number) for _ in range(call.returned))]

    def _check_input(self, call: NeuronCall) -> None:
        x = call.x
        if x.weights is not None:
            raise Unsupported("gets a sum over time; neurons take one step at a time")
        if call.every and x.layout not in ("all", "one"):
            raise Unsupported(f"takes [T, B, ...], gets {LAYOUTS[x.layout]}")
        if not call.every and x.layout != "frame":
            raise Unsupported(f"takes one step [B, ...] a call, gets {LAYOUTS[x.layout]}")
        if call.every and x.layout == "one":
            self.steps(1)

    def _check_states(self, call: NeuronCall, number: int) -> None:
        for value in call.states:
            known = self.known_of(value)
            if isinstance(known, State):
                if (known.module, known.step) != (id(call.module), number - 1):
                    raise Unsupported("gets the state of another layer or step")
            elif known is not None or (isinstance(value, Tensor) and (number or bool(value.any()))):
                raise Unsupported("starts from a state that is not zero")

    def count(self) -> int | None:
        """How many steps the neurons that take one step a call have run; None where there are none."""
        counts = {self._made[module] for module in self._single}
        if len(counts) > 1:
            raise Unsupported(f"its neurons are called {sorted(counts)} times: one timestep is one call of each")
        return counts.pop() if counts else None
