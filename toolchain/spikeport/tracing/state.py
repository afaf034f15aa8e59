"""How a module is run: in evaluation, from the start of a sample, and left as it was."""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spikeport.findings import fail
from spikeport.tracing.cards import WithoutCard
from spikeport.tracing.registry import registered, registered_class
from spikeport.training.layers import Repeat

#: sample: [B, ...] goes in and all timesteps lie inside · sequence: [T, B, ...] goes in · step: one call a timestep
Forward = Literal["sample", "sequence", "step"]

#: methods by which published networks bring a state back to the start of a sample
RESETS = (
    "reset",
    "neuron_reset",
    "reset_state",
    "reset_states",
    "reset_mem",
    "reset_membrane",
    "reset_hidden",
    "reset_neuron",
    "n_reset",
    "reset_net",
)


@dataclass(frozen=True)
class Reading:
    """What one call of a module takes."""

    way: Forward
    time: int = 0  #: "sequence": which axis of the input, batch included, is time
    folded: bool = False  #: "sequence": whether samples and time share the first axis, all steps of a sample in a row

    def words(self) -> str:
        """As the user would say it."""
        if self.way != "sequence":
            return f'forward="{self.way}"'
        if self.folded:
            return f'forward="{self.way}" with samples and time in one axis'
        return f'forward="sequence" with time as axis {self.time}'


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[set[str]]:
    """The module in evaluation mode and at the start of a sample, as it was afterwards.

    Gives the cards on which the module puts tensors itself; where there is none, these stay on the processor.
    """
    kept = [Kept(part) for part in module.modules()]
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        place = WithoutCard()
        with as_python(), place if not torch.cuda.is_available() else contextlib.nullcontext():
            reset(module)
            yield place.asked
    finally:
        for one in kept:
            one.restore()
        for part, mode in modes.items():
            part.training = mode


def uncompiled(module: nn.Module) -> nn.Module:
    """The module that torch.compile was given; what it returns runs another compiler's code."""
    inner = getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else module


@contextlib.contextmanager
def as_python() -> Iterator[None]:
    """What `torch.compile` made of modules in place, and of functions, runs as the Python that it was given."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and it takes a second to import
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


class Kept:
    """The attributes of a module as they were: values, what containers hold, and what tensors hold."""

    def __init__(self, part: nn.Module) -> None:
        self.part = part
        own = vars(part)
        self.values = {key: value for key, value in own.items() if key not in ("_parameters", "_modules")}
        tensors = [*part._buffers.values(), *(v for v in own.values() if isinstance(v, Tensor))]
        self.tensors = [(t, t.detach().clone()) for t in tensors if t is not None and not isinstance(t, nn.Parameter)]
        self.containers = [(v, _copied(v)) for key, v in own.items() if key == "_buffers" or key[:1] != "_"]

    def restore(self) -> None:
        """Put everything back."""
        own = vars(self.part)
        for key in [k for k in own if k not in self.values and k not in ("_parameters", "_modules")]:
            del own[key]
        own.update(self.values)
        for container, content in self.containers:
            if isinstance(container, dict):
                container.clear()
                container.update(content)
            elif isinstance(container, list):
                container[:] = content
            elif isinstance(container, deque | set):
                container.clear()
                (container.extend if isinstance(container, deque) else container.update)(content)
        with torch.no_grad():
            for tensor, values in self.tensors:
                if tensor.shape == values.shape and not torch.equal(tensor, values):
                    tensor.copy_(values)


def twin_of(module: nn.Module) -> nn.Module:
    """A copy, also of a module that ran: torch copies no tensor that gradients flow through, as a last membrane is."""
    memo = {id(t): t.detach().clone() for part in module.modules() for t in _tensors(vars(part)) if not t.is_leaf}
    try:
        return copy.deepcopy(module, dict(memo))
    except Exception:
        return _as_it_stands(module, memo)


def _as_it_stands(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A copy without the classes' own ways of copying, which may fail: Sinabs' recurrent layers copy no inner layer."""
    parts = [part for part in module.modules() if hasattr(type(part), "__deepcopy__")]
    for part in parts:
        memo[id(part)] = type(part).__new__(type(part))
    for part in parts:
        memo[id(part)].__dict__.update(copy.deepcopy(vars(part), memo))
    return copy.deepcopy(module, memo)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple | set | deque):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(inner)


def _copied(value: Any) -> Any:
    return (
        type(value)(value)
        if type(value) in (dict, list, set, deque)
        else dict(value)
        if isinstance(value, dict)
        else None
    )


def reset(module: nn.Module) -> None:
    """Bring every neuron that keeps a state back to the start of a sample. Raises SP333 where that changes weights."""
    versions = [(p, p._version) for p in module.parameters() if not nn.parameter.is_lazy(p)]
    for part in module.modules():
        if kind := registered_class(part):
            kind.reset(part)
        elif method := _reset_of(part):
            with torch.no_grad():
                method()
    if any(p._version != version for p, version in versions):
        fail(
            "SP333",
            "a method that should bring the state back to the start of a sample changes parameters",
            where=type(module).__name__,
            mend=f"rename it: capture calls methods named {', '.join(RESETS)}",
        )


def _reset_of(part: nn.Module) -> Callable[[], Any] | None:
    for name in RESETS:
        method = getattr(type(part), name, None)
        if method is None or not callable(method):
            continue
        with contextlib.suppress(TypeError, ValueError):
            inspect.signature(getattr(part, name)).bind()
            return getattr(part, name)  # type: ignore[no-any-return]
    return None


def folds(module: nn.Module) -> bool:
    """Whether neurons of the module take samples and time in one axis."""
    return any((kind := registered(part)) is not None and kind.folded for part in module.modules())


def hinted(module: nn.Module) -> Forward | None:
    """What the neurons that are known say of one call of the module; None where they say nothing."""
    if any(isinstance(part, Repeat) for part in module.modules()):
        return "sample"
    steps = {kind.steps(part) for part in module.modules() if (kind := registered(part))}
    return {frozenset(["one"]): "step", frozenset(["all"]): "sequence"}.get(frozenset(steps))  # type: ignore[return-value]
