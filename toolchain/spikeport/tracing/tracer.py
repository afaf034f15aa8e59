"""Runs a module once on samples and follows every tensor that comes from the input.

The module's own Python runs, with real tensors: loops, branches on shapes and reshapes by computed sizes need no care.
What it does to tensors is caught at the level of torch functions. What cannot be said in a graph is noted with the
module and the line that did it, and the run goes on; it is an error where the result depends on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikeport.findings import Finding
from spikeport.tracing import in_place, layers, operations, reasons, views
from spikeport.tracing.axes import words
from spikeport.tracing.call import FIXED, Call, Handler
from spikeport.tracing.calls import NeuronCall, NeuronCalls
from spikeport.tracing.draft import Draft
from spikeport.tracing.followed import Followed
from spikeport.tracing.functions import DRAWS, FACTORIES, IDENTITIES, LIKE, in_type_of, line, name_of, tensors, widened
from spikeport.tracing.leaks import Key, Leaks
from spikeport.tracing.left_over import LeftOver
from spikeport.tracing.membranes import Membranes
from spikeport.tracing.reads import Reads, counts
from spikeport.tracing.registry import Registered, registered
from spikeport.tracing.rested import Rested
from spikeport.tracing.schedules import as_block
from spikeport.tracing.symbols import STRANGER, Known, Label, Lost, State, Steps, Symbol, Unsupported, causes_of
from spikeport.tracing.trains import Trains
from spikeport.tracing.written_out.operator import Part
from spikeport.training.norm import TdBatchNorm


@dataclass
class Tracer(Followed, TorchFunctionMode):
    """The tensors that are followed, and the graph that comes of it."""

    root: nn.Module
    batch: int
    dtype: np.dtype[Any]
    handlers: Mapping[str, Handler]
    timesteps: int | None = None
    inside: bool = False  #: whether other libraries' neurons are followed line by line instead of taken whole
    wide: bool = False  #: whether the module's casts to float32 are casts to float64: its run in float64
    leaking: frozenset[Key] | None = None  #: layers behind membranes that only leak; None where there are none
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        TorchFunctionMode.__init__(self)
        Followed.__init__(self, self.root)
        self.draft = Draft(self.dtype, leaks=self.leaking is not None)
        self.leaks = Leaks(self.draft, self.leaking or frozenset())
        self.membranes = Membranes(self.draft)
        self.draft.expand = self.membranes.expanded
        self.trains, self.reads = Trains(self.draft, self.size), Reads(self.report)
        self.autocasts: set[str] = set()  #: types in which parts of the module compute under autocast
        self.cards: set[str] = set()  #: on which the module would put tensors, where there is none
        self.timed = False  #: whether anything was done along an axis of time
        self.old = LeftOver.of(self.root)
        named = self.root.named_modules(remove_duplicate=True)
        self._paths = {id(module): path.replace("._orig_mod", "") for path, module in named}  # of what was compiled
        self.stack: list[tuple[str, nn.Module]] = []  #: the modules that run now, with their paths
        self._calls = NeuronCalls(self.draft, self.known_of, self.steps)
        self.rested = Rested(self.own)

    # -- where it runs ------------------------------------------------------------------------------------------------

    def steps(self, count: int) -> None:
        """The model runs so many timesteps. Raises `Unsupported` if it was another number before."""
        if self.timesteps not in (None, count):
            raise Unsupported(f"runs {count} timesteps here, {self.timesteps} elsewhere")
        self.timesteps, self.membranes.over_all = count, True

    def size(self, shape: tuple[int, ...], label: Label) -> int:
        """How long an axis is."""
        if label == "T":
            return self.timesteps or 1
        return self.batch if label == "B" else shape[int(label)]

    def place(self) -> tuple[str, bool]:
        """The module that runs now, and whether it has no parts (so that the node can carry its name)."""
        if not self.stack:
            return "", False
        path, module = self.stack[-1]
        return path, not any(True for _ in module.children())

    def where(self) -> str:
        """The module and line that run now, in words."""
        path, module = self.stack[-1] if self.stack else ("", self.root)
        if isinstance(module, Part):
            return f"module {path!r}"
        return (f"module {path!r} ({type(module).__name__})" if path else f"module {type(module).__name__}") + line()

    def report(self, what: str, why: str = "", mend: str = "", code: str = "SP380") -> int:
        """One finding about the module that runs now; its number."""
        module = self.stack[-1][1] if self.stack else self.root
        at = f", operator {module.operator!r}" if isinstance(module, Part) else ""
        return reasons.noted(self.findings, Finding(code, what, self.where() + at, why, mend), module)

    # -- functions ----------------------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = name_of(func)
        args, kwargs = widened(name, args, kwargs or {}, self.wide)
        func = torch.Tensor.double if self.wide and name == "float" else func
        values = list(tensors((args, kwargs)))
        known = [k for value in values if (k := self.known_of(value)) is not None]
        self.old.enter([] if name in FACTORIES else values, None, follows=bool(known))
        if name in FACTORIES or not known or (name in LIKE and self.known_of(args[0]) is None):
            out = func(*args, **kwargs)
            out = list(out) if name == "__iter__" else out
            self.reads.of_vmap(values)
            sources = values[:1] if name in LIKE else values
            self.draw(values, out, line() if name in DRAWS else "")
            self.old.enter([] if name in FACTORIES else sources, out, follows=False)
            if name in layers.HANDLERS:
                self.rested.note(name, values)
            if name in FACTORIES or (sources and all(self.free(v) for v in sources)):
                self.fix(out)
            return iter(out) if name == "__iter__" else out
        shape = tuple(args[0].shape) if args and isinstance(args[0], Tensor) else ()
        before = in_place.before(self, name, args)
        out = func(*args, **kwargs)
        if not any(True for _ in tensors(out)) and name not in ("__iter__", "__setitem__"):
            first = self.known_of(args[0])
            return self.reads.of(name, out, counted=isinstance(first, Lost) and first.counted)
        in_place.spread(self, name, args)
        return self._follow(name, before, kwargs, args[0] if name == "__setitem__" else out, shape, known)

    def _follow(self, name: str, args: Any, kwargs: Any, out: Any, shape: Any, known: list[Known]) -> Any:
        result: Any = None
        first = self.known_of(args[0]) if args else None
        out = list(out) if name == "__iter__" else out
        if self.apart(name, args, kwargs, out, self.timesteps):
            return iter(out) if name == "__iter__" else out
        if isinstance(first, State) and name in IDENTITIES:
            result = first
        elif not any(isinstance(k, Lost) for k in known):
            try:
                handler = self.handlers.get(name) or reasons.unknown
                with self._behind_leak(name, args):
                    result = operations.handled(handler, Call(self, name, tuple(args), kwargs, out, shape))
            except Exception as error:
                reason = reasons.of(error)
                number = self.report(f"{name.strip('_')}: {reason}", mend=reason.mend, code=reason.code)
                causes = causes_of(known) | {number}
                result = Lost(causes) if reason.whole else views.as_if(self, args, out, causes, reason.form)
        else:
            result = Lost(causes_of(known))
        if isinstance(result, Lost) and counts(name, args):
            result = replace(result, counted=True)
        self._mark(out, result, name.strip("_"), causes_of(known))
        if name == "stack":
            call = Call(self, name, tuple(args), kwargs, out, shape)
            self.stacked(call.get(0, "tensors"), call.get(1, "dim", 0) % out.ndim, out)
        elif name in IDENTITIES and isinstance(out, Tensor):
            self.same_stack(args[0], out)
        return iter(out) if name == "__iter__" else out

    @contextlib.contextmanager
    def _behind_leak(self, name: str, args: Any) -> Iterator[None]:
        """While open, a layer gets what leaves the state that its input is a step of."""
        x = self.known_of(args[0]) if args else None
        if self.leaking is None or name not in layers.HANDLERS or not isinstance(x, Symbol):
            yield
            return
        self.know(args[0], self.leaks.entering((self.where(), name), x, self.place()[0]))
        try:
            yield
        finally:
            self.know(args[0], x)

    def _mark(self, out: Any, result: Any, name: str, causes: frozenset[int]) -> None:
        if result is FIXED:
            self.fix(out)
            return
        for index, tensor in enumerate(tensors(out)):
            known = result[index] if isinstance(result, list) else result
            if known is FIXED:
                self.fix(tensor)
                continue
            if isinstance(known, Symbol) and known.place is None:
                known = replace(known, place=(*self.place(), name))
            self.know(tensor, Lost(causes) if known is None else known)

    # -- modules ------------------------------------------------------------------------------------------------------

    def call(self, module: nn.Module, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """A module is called: neurons and tdBN become nodes as a whole, others run as they are."""
        path = self._paths.get(id(module))
        if path is None:
            path = ".".join(part for part in (self.place()[0], type(module).__name__) if part)
        self.stack.append((path, module))
        try:
            kind = registered(module, inside=self.inside)
            if kind is None and not (type(module) is TdBatchNorm and not module.training):
                return original(module, *args, **kwargs)
            with torch._C.DisableTorchFunction():
                out = original(module, *args, **kwargs)
                out = out if kind is None else in_type_of(args, out)
            followed = any(self.known_of(value) is not None for value in tensors((args, kwargs)))
            self.old.enter(tensors((args, kwargs)), out, follows=followed)
            if followed or kind is not None:
                self._whole(module, kind, args, kwargs, out)
            return out
        finally:
            self.stack.pop()

    def _whole(self, module: nn.Module, kind: Registered | None, args: Any, kwargs: Any, out: Any) -> None:
        values = [*args, *kwargs.values()]
        known = [self.known_of(value) for value in values]
        result: list[Known] | None = None
        causes = causes_of(known)
        if not any(isinstance(k, Lost) for k in known):
            try:
                first = known[0] if known else None
                x = as_block(self.draft, first, self.place()[0]) if isinstance(first, Steps) else first
                if not isinstance(x, Symbol):
                    raise Unsupported(STRANGER)
                result = [self._norm(module, x)] if kind is None else self._fire(module, kind, x, values, out)
            except Unsupported as reason:
                code = reason.code if reason.code != "SP380" else "SP383"
                causes |= {self.report(str(reason), code=code, mend=reason.mend)}
        self._mark(out, result, "neurons", causes)

    def _fire(self, module: nn.Module, kind: Registered, x: Symbol, values: list[Any], out: Any) -> list[Known]:
        path = self.stack[-1][0]
        self.timed = self.timed or kind.steps(module) == "all"
        x = operations.in_order(self, views.flat(self, x))
        x = views.unfolded(x) if kind.folded else x
        x = x if self.leaking is None else self.leaks.entering((path, "neurons"), x, path)
        call = NeuronCall(module, kind, path, x, list(tensors(values[1:])), len(list(tensors(out))) - 1, self.where())
        result = self._calls.fire(call)
        spikes = result[0]
        assert isinstance(spikes, Symbol)
        result[0] = spikes = views.folded(spikes) if kind.folded else spikes
        if not kind.analog:
            self.trains.of(spikes, next(tensors(out)), counts=kind.counts)
        return result

    def _norm(self, module: Any, x: Symbol) -> Symbol:
        x = views.flat(self, x)
        if len(x.axes) < 3 or x.axes[2] != (0,):
            raise Unsupported(f"takes [T, B, C, ...], gets {words(x.axes)}")
        node = views.norm_of(module, self.draft.number)
        return self.draft.apply(node, x, x.axes, self.stack[-1][0], True, "norm")

    def length(self) -> int | None:
        """The number of timesteps: as seen, or the number of calls of neurons that take one step a call."""
        if (count := self._calls.count()) is not None:
            self.steps(count)
        counts = {len(layer.charges) for layer in self.membranes.layers.values()}
        if self.timesteps is None and len(counts) == 1:
            self.timesteps = counts.pop()
        return self.timesteps
