"""Runs a module once on a probe batch and follows every tensor that comes from the input.

The module's own Python runs, with real tensors: loops, branches on shapes and reshapes by computed sizes need no care.
What it does to tensors is caught at the level of torch functions; what cannot be said in a graph is reported with the
module and the line that did it, and the run goes on, so that all of it is reported at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikeport.findings import Finding
from spikeport.graph import Array, Norm
from spikeport.tracing.calls import NeuronCall, NeuronCalls
from spikeport.tracing.draft import Draft
from spikeport.tracing.functions import FACTORIES, READS, SUPPORTED, in_type_of, line, name_of, tensors
from spikeport.tracing.registry import Registered, array, registered
from spikeport.tracing.symbols import Known, Lost, State, Symbol, Unsupported
from spikeport.training.norm import TdBatchNorm

#: references to a tensor that only the tracer holds: its table, and two while it is looked at
REFERENCES = 3


@dataclass(frozen=True)
class Call:
    """One torch function, called on at least one tensor that is followed."""

    tracer: Tracer
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any

    def get(self, index: int, name: str, default: Any = None) -> Any:
        """An argument by place or name."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(name, default)

    def symbol(self, value: Any) -> Symbol | None:
        """What is known of an argument."""
        known = self.tracer.known_of(value)
        if isinstance(known, State):
            raise Unsupported("reads a neuron's membrane; only spikes pass between layers")
        return known if isinstance(known, Symbol) else None

    def input(self) -> Symbol:
        """The first argument, which must be followed."""
        symbol = self.symbol(self.get(0, "input"))
        if symbol is None:
            raise Unsupported("works on a constant with values that depend on the input")
        if symbol.layout != "frame" and symbol.weights is not None:
            raise Unsupported("follows weights over time; only a sum over time can follow them")
        return symbol

    def constant(self, value: Any) -> Array | None:
        """A tensor of parameters as an array in the graph's type; None stays None."""
        if value is None:
            return None
        if self.symbol(value) is not None:
            raise Unsupported("uses values that depend on the input where a graph has parameters")
        return self.tracer.draft.number(array(value) if isinstance(value, Tensor) else value)

    def apply(self, node: Any, x: Symbol) -> Symbol:
        """Put a node behind ``x``."""
        path, alone = self.tracer.place()
        return self.tracer.draft.apply(node, x, path, alone, self.name.strip("_"))


Handler = Callable[[Call], Any]


@dataclass
class Tracer(TorchFunctionMode):
    """The tensors that are followed, and the graph that comes of it."""

    root: nn.Module
    batch: int
    dtype: np.dtype[Any]
    handlers: Mapping[str, Handler]
    timesteps: int | None = None
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.draft = Draft(self.dtype)
        self._known: dict[int, tuple[Tensor, Known]] = {}
        self._paths = {id(module): path for path, module in self.root.named_modules(remove_duplicate=True)}
        self._fixed: dict[int, Tensor] = {}
        self._stack: list[tuple[str, nn.Module]] = []
        self._calls = NeuronCalls(self.draft, self.known_of, self.steps)

    # -- what is known ------------------------------------------------------------------------------------------------

    def known_of(self, value: Any) -> Known | None:
        """What is known of a tensor, None for constants and for what is no tensor."""
        entry = self._known.get(id(value)) if isinstance(value, Tensor) else None
        return entry[1] if entry else None

    def know(self, value: Tensor, known: Known) -> None:
        """Follow a tensor (and keep it, so that its id stays its own)."""
        self._known[id(value)] = (value, known)

    def steps(self, count: int) -> None:
        """The model runs so many timesteps. Raises `Unsupported` if it was another number before."""
        if self.timesteps not in (None, count):
            raise Unsupported(f"runs {count} timesteps here, {self.timesteps} elsewhere")
        self.timesteps = count

    def place(self) -> tuple[str, bool]:
        """The module that runs now, and whether it has no parts (so that the node can carry its name)."""
        if not self._stack:
            return "", False
        path, module = self._stack[-1]
        return path, not any(True for _ in module.children())

    def report(self, what: str, why: str = "", mend: str = "", code: str = "SP380") -> None:
        """One finding about the module that runs now."""
        path, module = self._stack[-1] if self._stack else ("", self.root)
        where = f"module {path!r} ({type(module).__name__})" if path else f"module {type(module).__name__}"
        finding = Finding(code, what, where + line(), why, mend)
        if finding not in self.findings:
            self.findings.append(finding)

    # -- functions ----------------------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if (name := name_of(func)) in FACTORIES:
            return self._fixed_value(func(*args, **kwargs))
        known = [k for value in tensors((args, kwargs)) if (k := self.known_of(value)) is not None]
        if not known:
            return func(*args, **kwargs)
        lost = any(isinstance(k, Lost) for k in known)
        out = func(*args, **kwargs)
        if not any(True for _ in tensors(out)) and name != "__iter__":
            if name in READS:
                self.report(
                    f"{READS[name]} (Tensor.{name})",
                    "what the module does would depend on the sample.",
                    "compute with tensors only",
                    "SP381",
                )
            return out
        return self._follow(name, args, kwargs, out, lost)

    def _fixed_value(self, out: Any) -> Any:
        """A tensor that a factory made: the same whatever the input is."""
        self._fixed[id(out)] = out
        return out

    def is_fixed(self, value: Any) -> bool:
        """Whether a tensor comes straight from a factory such as torch.zeros."""
        return id(value) in self._fixed

    def _follow(self, name: str, args: Any, kwargs: Any, out: Any, lost: bool) -> Any:
        handler = self.handlers.get(name)
        result: Any = None
        if not lost:
            try:
                self._no_views(name, args)
                if handler is None:
                    raise Unsupported("is no operation that a graph can hold")
                result = handler(Call(self, name, tuple(args), kwargs, out))
            except Unsupported as reason:
                self.report(f"{name.strip('_')}: {reason}", mend=f"supported are: {SUPPORTED}")
                result = self._as_if(args, out)
        if name == "__iter__":
            out = list(out)
        self._mark(out, result)
        return iter(out) if name == "__iter__" else out

    def _as_if(self, args: Any, out: Any) -> Symbol | None:
        """What to take the result of something unsupported for, so that what follows it is examined as well."""
        x = self.known_of(args[0]) if args else None
        if not isinstance(x, Symbol) or not isinstance(out, Tensor):
            return None
        lead = x.lead(self.batch, self.timesteps)
        fits = tuple(out.shape[: len(lead)]) == lead and out.ndim > len(lead)
        return x.at(x.terms, tuple(out.shape[len(lead) :])) if fits else None

    def _no_views(self, name: str, args: Any) -> None:
        """Refuse to change a tensor in place of which a view is followed: the view would change unseen."""
        inplace = (name.startswith("__i") and name != "__iter__") or (name.endswith("_") and not name.endswith("__"))
        if not inplace or not isinstance(args[0], Tensor):
            return
        place = args[0].untyped_storage().data_ptr()
        for other, known in self._known.values():
            references = REFERENCES + (other is args[0]._base)  # a view holds its base
            alive = not isinstance(known, Lost) and sys.getrefcount(other) > references
            if alive and other is not args[0] and other.untyped_storage().data_ptr() == place:
                raise Unsupported("changes a tensor in place of which another view is in use")

    def _mark(self, out: Any, result: Any) -> None:
        for index, tensor in enumerate(tensors(out)):
            known = result[index] if isinstance(result, list) else result
            self.know(tensor, Lost() if known is None else known)

    # -- modules ------------------------------------------------------------------------------------------------------

    def call(self, module: nn.Module, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """A module is called: neurons and tdBN become nodes as a whole, others run as they are."""
        path = self._paths.get(id(module))
        if path is None:
            path = ".".join(part for part in (self.place()[0], type(module).__name__) if part)
        self._stack.append((path, module))
        try:
            kind = registered(module)
            if kind is None and not (type(module) is TdBatchNorm and not module.training):
                return original(module, *args, **kwargs)
            with torch._C.DisableTorchFunction():
                out = original(module, *args, **kwargs)
                out = out if kind is None else in_type_of(args, out)
            followed = any(self.known_of(value) is not None for value in tensors((args, kwargs)))
            if followed or kind is not None:
                self._whole(module, kind, args, kwargs, out)
            return out
        finally:
            self._stack.pop()

    def _whole(self, module: nn.Module, kind: Registered | None, args: Any, kwargs: Any, out: Any) -> None:
        values = [*args, *kwargs.values()]
        known = [self.known_of(value) for value in values]
        result: list[Known] | None = None
        if not any(isinstance(k, Lost) for k in known):
            try:
                x = known[0] if known else None
                if not isinstance(x, Symbol):
                    raise Unsupported("its input does not come from the network's input, as far as can be followed")
                result = (
                    [self._norm(module, x)]
                    if kind is None
                    else self._calls.fire(
                        NeuronCall(module, kind, self._stack[-1][0], x, values[1:], len(list(tensors(out))) - 1)
                    )
                )
            except Unsupported as reason:
                self.report(str(reason), code="SP383")
        self._mark(out, result)

    def _norm(self, module: Any, x: Symbol) -> Symbol:
        number = self.draft.number
        node = Norm(
            gamma=number(array(module.weight)),
            beta=number(array(module.bias)),
            mean=number(array(module.running_mean)),
            var=number(array(module.running_var)),
            eps=module.eps,
            scale=module.scale,
        )
        return self.draft.apply(node, x, self._stack[-1][0], True, "norm")

    def length(self) -> int | None:
        """The number of timesteps: as seen, or the number of calls of neurons that take one step a call."""
        if (count := self._calls.count()) is not None:
            self.steps(count)
        return self.timesteps


class following:  # noqa: N801  (a context manager, read as a verb)
    """While open, calls of modules and torch functions go through a tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def __enter__(self) -> None:
        self.original = nn.Module.__call__
        tracer, original = self.tracer, self.original

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            return tracer.call(module, original, args, kwargs)

        nn.Module.__call__ = call  # type: ignore[method-assign]
        tracer.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        nn.Module.__call__ = self.original  # type: ignore[method-assign]
        self.tracer.__exit__(*error)  # type: ignore[no-untyped-call]
