"""One torch function on a tensor that is followed, as handlers see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from spikeport.graph import Array
from spikeport.tracing.functions import tensors
from spikeport.tracing.registry import array
from spikeport.tracing.schedules import as_block
from spikeport.tracing.symbols import Axes, Label, State, Steps, Symbol, Unsupported

if TYPE_CHECKING:
    from spikeport.tracing.tracer import Tracer

#: a handler returns this where the result is the same whatever the input is
FIXED = object()


@dataclass(frozen=True)
class Call:
    """One torch function, called on at least one tensor that is followed."""

    tracer: Tracer
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any
    shape: tuple[int, ...]  #: of the first argument, before the call

    def get(self, index: int, name: str, default: Any = None) -> Any:
        """An argument by place or name."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(name, default)

    def known(self, value: Any) -> Symbol | Steps | None:
        """What is known of an argument: a sum, or a block whose steps are different sums."""
        known = self.tracer.known_of(value)
        if isinstance(known, State):
            raise Unsupported("reads a neuron's membrane; only spikes pass between layers")
        return known if isinstance(known, Symbol | Steps) else None

    def symbol(self, value: Any) -> Symbol | None:
        """What is known of an argument."""
        known = self.known(value)
        if isinstance(known, Steps):
            return as_block(self.tracer.draft, known, self.tracer.place()[0])
        return known

    def input(self) -> Symbol:
        """The first argument, which must be followed."""
        symbol = self.symbol(self.get(0, "input"))
        if symbol is None:
            raise Unsupported("works on a constant with values that depend on the input")
        return symbol

    def constant(self, value: Any) -> Array | None:
        """A tensor of parameters as an array in the graph's type; None stays None."""
        if value is None:
            return None
        if self.tracer.known_of(value) is not None:
            raise Unsupported("uses values that depend on the input where a graph has parameters")
        return self.tracer.draft.number(array(value) if isinstance(value, Tensor) else value)

    def size(self, label: Label) -> int:
        """How long an axis of the input is."""
        return self.tracer.size(self.input().shape, label)

    def drawn(self, node: Any, x: Symbol) -> bool:
        """Whether ``apply`` would find the node drawn before."""
        path, _ = self.tracer.place()
        return self.tracer.draft.key(node, x, path, self.name.strip("_")) in self.tracer.draft.keys

    def at_rest(self) -> bool:
        """Whether the same layer was called before on a constant: on a state that nothing had entered yet."""
        return self.tracer.rested.before(self.name, tensors((self.args, self.kwargs)))

    def apply(self, node: Any, x: Symbol, axes: Axes) -> Symbol:
        """Put a node behind ``x``; ``axes`` are those of the result."""
        path, alone = self.tracer.place()
        return self.tracer.draft.apply(node, x, axes, path, alone, self.name.strip("_"))


Handler = Callable[[Call], Any]
