"""Which modules are neurons, and how each becomes a node of the graph. Other libraries' neurons are registered here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from spikeport.findings import Finding, require
from spikeport.graph import LIF, Array, Edge, Node, Scale

MEMBRANE = "membrane"  #: the part of a layer that adds up what its neurons compare
OUTSIDE = "/"  #: before the name of another layer in a layer's wires


@dataclass(frozen=True)
class Cells:
    """A neuron layer as a graph says it: a node, and what its spikes do besides leaving it.

    ``feedback`` holds (steps, factor): ``factor * s[t - steps]`` is added to what enters the node at step t; it becomes
    a `Delay` and a `Scale`. ``graded`` is what each spike is multiplied by on its way out.

    A layer of states that never fire, such as a synapse that fades, has a `Scale` for its node.

    A layer that no one node computes has ``parts`` besides, joined by ``wires`` (from, to), where "" is the node and
    what begins with `OUTSIDE` another layer; operations among them name their operands as the wires do. What enters the
    layer goes to each of ``entry``.
    """

    node: LIF | Scale
    feedback: tuple[tuple[int, Array], ...] = ()
    graded: Array | None = None
    parts: Mapping[str, Node] = field(default_factory=dict)
    wires: tuple[Edge, ...] = ()
    entry: tuple[str, ...] = ("",)
    notes: tuple[str, ...] = ()  #: where the node differs from the module at single values, for the graph's provenance


#: converter(module, shape, timesteps): the neurons of ``shape`` [C, ...] without time and batch, for all timesteps
Converter = Callable[[Any, tuple[int, ...], int], LIF | Cells]


@dataclass(frozen=True)
class Registered:
    """One kind of neuron module."""

    convert: Converter
    steps: Callable[[Any], Literal["all", "one"]]  #: whether a call takes [T, B, ...] or one step [B, ...]
    reset: Callable[[Any], None]  #: back to the state before t = 0
    counts: bool = False  #: whether what it returns is how often neurons fire, and not what a spike is worth
    several: Callable[[Any], bool] = lambda _module: False  #: whether neurons may fire more than once a step
    spikes: Callable[[Any], bool] = lambda _module: (
        True
    )  #: whether a module of the kind, or of one derived from it, is neurons at all
    analog: bool = False  #: whether it never fires, and returns states
    folded: bool = False  #: whether a call takes [B * T, ...], all steps of a sample in a row
    lasting: Callable[[Any, int], None] = lambda _module, _timesteps: None  #: told how many steps a call is to take

    @property
    def stateful(self) -> bool:
        """Whether a call goes on from where the last one stopped."""
        return self.reset is not _nothing


_known: dict[type[nn.Module], Registered] = {}
_plugins = {
    "norse": "spikeport.tracing.norse",
    "sinabs": "spikeport.tracing.sinabs",
    "snntorch": "spikeport.tracing.snntorch",
    "spikingjelly": "spikeport.tracing.spikingjelly",
}


#: methods by which SpikingJelly's neurons say their equations, for classes of users to replace
EQUATIONS = {"neuronal_charge", "neuronal_fire", "neuronal_reset"}
_tried: set[str] = set()  #: libraries whose plug-in was imported, or could not be
problems: list[Finding] = []  #: plug-ins that could not be imported


def _nothing(module: nn.Module) -> None:
    """A module whose state is local to its call."""


def register_neuron(
    kind: type[nn.Module],
    converter: Converter,
    *,
    steps: Literal["all", "one"] | Callable[[Any], Literal["all", "one"]] = "all",
    reset: Callable[[Any], None] = _nothing,
    counts: bool = False,
    several: Callable[[Any], bool] = lambda _module: False,
    spikes: Callable[[Any], bool] = lambda _module: True,
    analog: bool = False,
    lasting: Callable[[Any, int], None] | None = None,
) -> None:
    """Teach `capture` a neuron class.

    ``converter(module, shape, timesteps)`` returns the `LIF` or `CubaLIF` node (or `Cells`) that computes what the
    module computes; `capture` checks it on a probe batch, spike for spike. ``steps`` says whether one call takes all
    timesteps [T, B, ...] or one [B, ...]; ``reset`` brings a module with a state back to the start of a sample.
    The module's first argument is the input, its first result the spikes, whatever a spike is worth; with ``counts``
    how often each neuron fired, more than once a step where ``several`` says so. Modules of the class for which
    ``spikes`` is false are followed line by line. ``analog`` modules return states and never fire: their converter
    returns `Cells` around a `Scale`, and what the layers behind them do is what is checked.
    Modules that take [B * T, ...], all steps of a sample in a row, are told by ``lasting(module, timesteps)`` how many
    steps those are.

        class MyLIF(nn.Module): ...        # u = 0.9 u + x, fires above 1, resets to zero; [T, B, ...]

        def my_lif(module, shape, timesteps):
            return LIF(shape, decay=np.float32(0.9), threshold=np.ones(timesteps, np.float32), compare=">")

        register_neuron(MyLIF, my_lif)

    Raises SP387 where ``kind`` is no module class.
    """
    require(isinstance(kind, type) and issubclass(kind, nn.Module), "SP387", f"{kind!r} is no nn.Module class")
    _known[kind] = Registered(
        converter, steps if callable(steps) else lambda _module: steps, reset, counts, several, spikes, analog
    )
    if lasting is not None:
        _known[kind] = replace(_known[kind], folded=True, lasting=lasting)


def registered(module: nn.Module, *, inside: bool = False) -> Registered | None:
    """How a module becomes neurons, or None. A subclass that computes otherwise is another kind.

    ``inside`` passes over other libraries' neurons, which are then followed line by line.
    """
    known = registered_class(module, inside=inside)
    return known if known and known.spikes(module) else None


def registered_class(module: nn.Module, *, inside: bool = False) -> Registered | None:
    """As `registered`, whether this module of the class spikes or not."""
    library = library_of(module)
    if library:
        if inside:
            return None
        _load(library, _plugins[library])
    for kind in type(module).__mro__:
        if kind in _known:
            return None if _changed(type(module), kind) else _known[kind]
    return None


def _changed(derived: type[nn.Module], kind: type[nn.Module]) -> bool:
    """Whether a class has a ``forward`` or a part of the neuron's equations of its own."""
    own = {name for part in derived.__mro__[: derived.__mro__.index(kind)] for name in vars(part)}
    return derived.forward is not kind.forward or bool(own & EQUATIONS)


def foreign(module: nn.Module) -> bool:
    """Whether a module has neurons of another library that could be followed line by line instead."""
    return any(library_of(part) and registered(part) for part in module.modules())


def library_of(module: nn.Module) -> str:
    """The library that a module comes from, of those that capture knows; else nothing."""
    library = type(module).__module__.partition(".")[0]
    return library if library in _plugins else ""


def _load(library: str, plugin: str) -> None:
    """Import a plug-in once. Where it cannot be imported, its library's neurons are modules like any other."""
    if library in _tried:
        return
    _tried.add(library)
    try:
        import_module(plugin)
    except Exception as error:
        what = f"the plug-in for {library} cannot be imported: {type(error).__name__}: {error}"
        mend = f"install a version of {library} that the plug-in knows, or register its neurons with register_neuron"
        problems.append(Finding("SP334", what, plugin, mend=mend, severity="note"))


def kinds() -> list[str]:
    """Names of the neuron classes that are known now."""
    return sorted(f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in _known)


def array(value: Tensor) -> Array:
    """A tensor as an array of its own."""
    return np.array(value.detach().cpu().numpy())


__all__ = ["Cells", "Converter", "Registered", "array", "foreign", "kinds", "problems", "register_neuron", "registered"]
