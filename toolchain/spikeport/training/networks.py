"""Networks by name, found by entry points (group ``spikeport.networks``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, get_type_hints

import torch
from pydantic import Field
from torch import nn

from spikeport import plugins
from spikeport.findings import fail, require
from spikeport.nearest import choose
from spikeport.reading import line
from spikeport.training.catalogue import method
from spikeport.training.layers import Readout
from spikeport.training.methods import Method
from spikeport.training.neurons import check_decays
from spikeport.training.options import BRING, unfit
from spikeport.training.rules import Gradient, Reset
from spikeport.training.step_norms import NormName

if TYPE_CHECKING:
    from spikeport.training.recipe import Recipe

GROUP = "spikeport.networks"
Count = Annotated[int, Field(ge=1)]  #: of channels, neurons, layers, pixels
Counts = Annotated[Sequence[Count], Field(min_length=1)]
Width = Annotated[float, Field(gt=0)]  #: what counts of channels and neurons are multiplied by
Share = Annotated[float, Field(ge=0, le=1)]  #: of what a membrane, a current or a readout keeps a step

#: What an entry point names: ``(task, **options) -> nn.Module``. The parameters behind the first are the network's
#: options, each checked by its annotation; one with ``**cells: Unpack[Cells]`` has those of its neurons too.
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
    neuron_options: dict[str, Any]  #: what the neuron takes beside these: decay of plif and lif, or a plug-in's own
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

    Raises SP314 as `check` does, and for values with which there is no such network.
    """
    make = check(network, options or {})
    by = method(train_with) if isinstance(train_with, str) else train_with
    try:
        module = make(Task(tuple(input_shape), classes, timesteps, by), **(options or {}))
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError) as error:
        what = f"the network {network!r} cannot be built for {list(input_shape)}: {type(error).__name__}: {line(error)}"
        fail("SP314", what, mend="mend its options, or what enters it")
    if not isinstance(module, nn.Module):
        fail(
            "SP314", f"the network {network!r} is {type(module).__name__}, no torch module", mend="return an nn.Module"
        )
    check_decays(module)
    return module


def check(network: str, options: Mapping[str, Any]) -> Network:
    """The network of a name, whose options these can be.

    Raises SP314 for an unknown name, and for every option that is unknown, of the wrong type or out of its range.
    """
    entries = plugins.entries(GROUP)
    if network not in entries:
        fail("SP314", f"there is no network {network!r}", mend=f"{choose(network, entries)}, {BRING}")
    make: Network = entries[network].load()
    where = f"network {network!r}"
    unfit(options, _options(make, where), _hints(make, where), where, "SP314")
    return make


def _hints(make: Network, where: str) -> dict[str, Any]:
    """The annotation of each option. Raises SP314 where Python cannot look them up."""
    try:
        return get_type_hints(Cells) | get_type_hints(getattr(make, "func", make), include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        fail("SP314", f"its annotations cannot be read: {error}", where=where, mend="import what they name")


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


@torch.no_grad()
def try_out(module: nn.Module, x: torch.Tensor, classes: int) -> None:
    """Run a network on a sample or two before it is trained on all. Raises SP314 where it does not take them."""
    training = module.training
    try:
        y = module.eval()(x)
    except (TypeError, ValueError, LookupError, RuntimeError) as error:
        what = f"the network does not take samples {list(x.shape)}: {type(error).__name__}: {line(error)}"
        fail("SP314", what, mend="architecture.events says whether it gets a frame a timestep; see its other options")
    finally:
        module.train(training)
    if not any(isinstance(part, Readout) for part in module.modules()):
        fail("SP314", "the network has no Readout", mend="end it with Readout(task.timesteps), of spikeport.training")
    if y.ndim != 2 or y.shape[1] != classes:
        what = f"the network makes {list(y.shape)} of samples {list(x.shape)}, not {classes} classes of each"
        fail("SP314", what, mend="end it with Linear(…, task.classes) and Readout(task.timesteps)")


def _options(make: Network, where: str) -> set[str]:
    """What a recipe may say about a network. Raises SP314 for one without a task."""
    parameters = [*inspect.signature(make).parameters.values()]
    require(len(parameters) > 0, "SP314", "takes no task", where=where, mend="its first parameter is a Task")
    parameters = parameters[1:]
    named = {each.name for each in parameters if each.kind is not each.VAR_KEYWORD}
    return named | (set(Cells.__annotations__) if len(named) < len(parameters) else set())
