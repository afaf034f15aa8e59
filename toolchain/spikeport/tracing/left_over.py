"""States that an earlier run left in a module: a network that starts from them is another one than was trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from spikeport.findings import Finding
from spikeport.tracing.functions import tensors

#: how the modules of a library are brought back to the start of a sample
CALLS = {
    "sinabs": "sinabs.reset_states(module)",
    "snntorch": "snntorch.utils.reset(module)",
    "spikingjelly": "spikingjelly.activation_based.functional.reset_net(module)",
}


@dataclass(frozen=True)
class Place:
    """An attribute of a part of a module, and the tensor that it held before the run."""

    path: str
    part: nn.Module
    name: str
    value: Tensor

    @property
    def words(self) -> str:
        """As the user reaches it."""
        return ".".join(word for word in (self.path, self.name) if word)

    @property
    def changed(self) -> bool:
        """Whether the run put another value there."""
        return all(value is not self.value for value in tensors(_held(self.part, self.name)))


@dataclass
class LeftOver:
    """Tensors in attributes before a run that may be states, and which of them met what comes from the input."""

    places: dict[int, Place] = field(default_factory=dict)
    made: dict[int, tuple[Tensor, set[int]]] = field(default_factory=dict)  #: constants that were made of them
    used: set[int] = field(default_factory=set)
    last: set[int] = field(default_factory=set)  #: those that the last function took

    @classmethod
    def of(cls, module: nn.Module) -> LeftOver:
        """Tensors that are no parameters and differ from place to place: a start value that is written down does not.

        Normalisations keep running statistics, which a run in evaluation does not change.
        """
        old = cls()
        for path, part in module.named_modules():
            for name in _names(part):
                for value in tensors(_held(part, name)):
                    if not isinstance(value, nn.Parameter) and _varies(value):
                        old.places[id(value)] = Place(path, part, name, value)
        return old

    def enter(self, values: Iterable[Tensor], out: Any, *, follows: bool) -> None:
        """A function took ``values``, of which some come from the input where it ``follows``, and gave ``out``."""
        self.last = self.behind(values)
        if follows:
            self.used |= self.last
        elif self.last:
            self.made |= {id(made): (made, self.last) for made in tensors(out)}

    def behind(self, values: Iterable[Tensor]) -> set[int]:
        """The places whose values are these, or became these."""
        if not self.places:
            return set()
        keys = {id(value) for value in values}
        return (keys & self.places.keys()).union(*(self.made[key][1] for key in keys & self.made.keys()))

    def findings(self, *, failed: bool = False) -> list[Finding]:
        """One finding for all states that the run started from; where it ``failed``, for those that it failed on."""
        keys = self.last if failed else {key for key in self.used if self.places[key].changed}
        places = [self.places[key] for key in sorted(keys, key=lambda key: self.places[key].words)]
        if not places:
            return []
        held = ", ".join(f"{place.words} {list(place.value.shape)}" for place in places[:3])
        own = " = ".join(dict.fromkeys(f"module.{place.words}" for place in places[:3]))
        libraries = {type(place.part).__module__.partition(".")[0] for place in places}
        calls = [CALLS[library] for library in sorted(libraries & CALLS.keys())]
        given = f"set {own} to what it was before the first call, or name the method that does so reset()"
        return [
            Finding(
                "SP335",
                f"it holds the state of an earlier run ({held})",
                type(places[0].part).__name__,
                "the network would start from there, and every sample is meant to start alike.",
                f"reset it first: {' and '.join(calls) or given}",
            )
        ]


def held(module: nn.Module) -> list[Tensor]:
    """The tensors in buffers and plain attributes of a module's parts."""
    return [value for part in module.modules() for name in _names(part) for value in tensors(_held(part, name))]


def _names(part: nn.Module) -> list[str]:
    return [*part._buffers, *(name for name in vars(part) if name[:1] != "_")]


def _held(part: nn.Module, name: str) -> Any:
    return part._buffers[name] if name in part._buffers else vars(part).get(name)


def _varies(value: Tensor) -> bool:
    """Whether a tensor holds numbers that are neither zero nor all the same."""
    if not value.is_floating_point() or value.ndim == 0 or not value.numel():
        return False
    flat = value.detach().reshape(-1)
    return bool((flat != flat[0]).any()) or (value.ndim > 1 and value.numel() == 1 and bool(flat[0] != 0))
