"""Networks by name, found by entry points (group ``spikeport.networks``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_type_hints

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from spikeport import plugins
from spikeport.findings import fail
from spikeport.nearest import choose
from spikeport.reading import line
from spikeport.training.catalogue import method
from spikeport.training.methods import Method
from spikeport.training.recipe import Recipe
from spikeport.training.rules import Gradient, Reset
from spikeport.training.step_norms import NormName

GROUP = "spikeport.networks"
STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)

#: What an entry point names: ``(task, **options) -> nn.Module``. The parameters behind the first are the network's
#: options; one with ``**cells: Unpack[Cells]`` has those of its neurons too.
Network = Callable[..., nn.Module]


@dataclass(frozen=True)
class Task:
    """What a network is for: it looks at frames [C, H, W], ``timesteps`` times, tells classes apart, and learns how."""

    input_shape: tuple[int, ...]
    classes: int
    timesteps: int
    method: Method


class Cells(TypedDict, total=False):
    """Options of every spiking layer of a network, as `Neuron` has them."""

    neuron: str  #: plif (as a rule), lif, if or mpbn
    reset: Reset
    detach_reset: bool
    train_threshold: bool | Literal["layer", "tanh"]
    gradient: Gradient
    norm: NormName  #: before the neurons: tdbn (as a rule), tebn or tab


def networks() -> list[str]:
    """The networks that are installed."""
    return list(plugins.entries(GROUP))


def build(
    network: str,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    train_with: Method | str = "fixed",
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A fresh network. ``input_shape`` is [C, H, W].

    Raises SP314 for an unknown network or option, and for values with which there is no such network.
    """
    entries = plugins.entries(GROUP)
    if network not in entries:
        fail("SP314", f"there is no network {network!r}", mend=choose(network, entries))
    make: Network = entries[network].load()
    known = _options(make)
    unknown = sorted(set(options or {}) - known)
    if unknown:
        mend = choose(unknown[0], sorted(known))
        fail("SP314", f"the network {network!r} has no option {', '.join(unknown)}", mend=mend)
    by = method(train_with) if isinstance(train_with, str) else train_with
    _typed(network, make, options or {})
    try:
        return make(Task(tuple(input_shape), classes, timesteps, by), **(options or {}))
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError) as error:
        what = f"the network {network!r} cannot be built for {list(input_shape)}: {line(error)}"
        fail("SP314", what, mend="mend its options, or what enters it")


def _typed(network: str, make: Network, options: Mapping[str, Any]) -> None:
    """Raises SP314 for an option of another type than the network's signature has."""
    hints = get_type_hints(Cells) | get_type_hints(getattr(make, "func", make))
    for name, value in options.items():
        try:
            TypeAdapter(hints.get(name, Any), config=STRICT).validate_python(value)
        except ValidationError as error:
            what = f"{name} of the network {network!r}: {error.errors()[0]['msg'].lower()}"
            fail("SP314", what, mend="give it as the network has it")


def network_of(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A fresh network as a recipe says, for frames [C, H, W], laid out as convolutions are fastest (channels-last)."""
    module: nn.Module = build(
        recipe.network,
        input_shape=input_shape,
        classes=classes,
        timesteps=recipe.timesteps,
        train_with=method(recipe.method, **recipe.method_options),
        options=recipe.architecture,
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub knows tensors' formats only
    return module


def _options(make: Network) -> set[str]:
    """What a recipe may say about a network."""
    _, *parameters = inspect.signature(make).parameters.values()
    named = {each.name for each in parameters if each.kind is not each.VAR_KEYWORD}
    return named | (set(Cells.__annotations__) if len(named) < len(parameters) else set())
