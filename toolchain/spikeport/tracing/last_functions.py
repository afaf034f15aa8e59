"""What a module does last to its result without changing a decision: softmax and its like, which a graph leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from spikeport.graph import Graph
from spikeport.tracing import reasons
from spikeport.tracing.call import Call, Handler
from spikeport.tracing.symbols import Symbol

KEY = "left_out"  #: of a graph's provenance: by result, the functions that it was sent through last
ELEMENTWISE = ("sigmoid", "logsigmoid", "log_sigmoid")  #: they rise with the value
OVER_CLASSES = ("softmax", "log_softmax", "argmax")


@dataclass(frozen=True)
class Last:
    """One such call: what came out and what went in, and the values of both then."""

    out: Tensor
    x: Tensor
    name: str
    values: tuple[Tensor, Tensor]

    def gave(self, result: Tensor) -> bool:
        """Whether a result is what came out, perhaps detached or without axes of one, and nothing was written since."""
        same = result is self.out or (
            result.data_ptr() == self.out.data_ptr()
            and result.is_contiguous()
            and self.out.is_contiguous()
            and _longer_axes(result) == _longer_axes(self.out)
        )
        return same and all(map(torch.equal, self.values, (self.out, self.x)))


class LastFunctions:
    """The calls of one run that are left out where nothing is done to what they return.

    ``largest`` is the handler of `max`, which is such a call where its indices alone are returned.
    """

    def __init__(self, largest: Handler) -> None:
        self._largest = largest
        self._calls: list[Last] = []
        self._names: dict[str, list[str]] = {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What is done at such a call."""
        return {**dict.fromkeys((*ELEMENTWISE, *OVER_CLASSES), self._seen), "max": self._largest_of}

    def _seen(self, call: Call) -> Any:
        """Remember it. Raises `Unsupported`: who goes on with what it returns is refused."""
        if isinstance(call.out, Tensor):
            self._remember(call, call.out)
        return reasons.unknown(call)

    def _largest_of(self, call: Call) -> Any:
        """The place of the largest of all classes is remembered; its value is what `max` is elsewhere."""
        if isinstance(indices := getattr(call.out, "indices", None), Tensor):
            self._remember(call, indices)
        return self._largest(call)

    def _remember(self, call: Call, out: Tensor) -> None:
        x = call.get(0, "input")
        known = call.tracer.known_of(x)
        if not isinstance(known, Symbol) or known.timed:  # then steps would be decided one by one
            return
        if call.name in ELEMENTWISE or _over_classes(call, known):
            self._calls.append(Last(out, x, call.name, (out.clone(), x.clone())))

    def left_out(self, results: Mapping[int | str, Tensor]) -> dict[int | str, Tensor]:
        """The results as they were before such functions."""
        return {key: self._before(key, result) for key, result in results.items()}

    def _before(self, key: int | str, result: Tensor) -> Tensor:
        for call in reversed(self._calls):
            if call.gave(result):
                result = call.x
                self._names.setdefault(str(key), []).insert(0, call.name)
        return result

    def told(self, graph: Graph) -> Graph:
        """The graph, with what was left out in its provenance."""
        if not self._names:
            return graph
        notes = [*graph.provenance.get("notes", ()), note(self._names)]
        return graph.with_(provenance={**graph.provenance, KEY: self._names, "notes": notes})


def note(left_out: Mapping[str, Sequence[str]]) -> str:
    """What was left out, in words."""
    each = [", then ".join(names) + (f" of {key!r}" if len(left_out) > 1 else "") for key, names in left_out.items()]
    what = f"what the module does last, {' and '.join(each)}, was left out"
    saturates = any("sigmoid" in names for names in left_out.values())
    but = ", but where it saturates; it is above 0.5 where that is above 0" if saturates else ""
    return f"{what}: the output is what enters it, which decides for the same class{but}"


def _longer_axes(x: Tensor) -> list[int]:
    return [size for size in x.shape if size != 1]


def _over_classes(call: Call, known: Symbol) -> bool:
    """Whether a function runs over all features of a sample, two or more, along one axis."""
    dim = call.get(1, "dim")
    group = known.axes[dim] if isinstance(dim, int) else ()
    classes = call.shape[dim] if isinstance(dim, int) else 0
    samples = prod(size for size, labels in zip(call.shape, known.axes, strict=True) if "B" in labels)
    return bool(group) and "B" not in group and classes > 1 and prod(call.shape) == samples * classes
