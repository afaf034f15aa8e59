"""Chips of a few unlike cores with one layer each: which layer sits where, and what no core can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil, log2
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from spikeport.costs.datafile import shipped
from spikeport.graph import LIF, Conv, Flatten, Graph, Linear, Pool, Shape, Synapse

MEMORIES = ("kernel", "neurons", "biases")


class Core(BaseModel):
    """Cores of one kind: how many there are, and how many weights, membranes and biases each holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1)
    kernel: int = Field(ge=1)
    neurons: int = Field(ge=1)
    biases: int = Field(ge=0)


class Shapes(BaseModel):
    """What a core can be told, whatever its memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kernel: int = Field(ge=1)  #: places a side
    features: int = Field(ge=1)
    strides: tuple[int, ...]
    pools: tuple[int, ...]  #: sides of the squares
    source: str = Field(min_length=1)


class Seats(BaseModel):
    """A chip as its file states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    title: str = Field(min_length=1)
    about: str = Field(min_length=1)
    source: str = Field(min_length=1)
    destinations: int = Field(ge=1)  #: layers that one layer may send to
    shapes: Shapes
    cores: tuple[Core, ...]

    @property
    def each(self) -> tuple[Core, ...]:
        """The kind of every core, in their order."""
        return tuple(core for core in self.cores for _ in range(core.count))


@cache
def seats() -> dict[str, Seats]:
    """The chips of this kind that come with spikeport, by name."""
    return shipped(Seats, "spikeport.mapping", "seats")


@dataclass(frozen=True)
class Need:
    """What a layer takes of a core."""

    shape: Shape
    kernel: int  #: weights
    neurons: int
    biases: int


@dataclass(frozen=True)
class Seating:
    """Which layers sit on which cores."""

    chip: Seats
    needs: Mapping[str, Need]
    cores: Mapping[str, int]  #: layer -> core, from 0; layers that found none are not in it
    refused: Mapping[str, str]  #: node -> what cannot be told to a core

    @property
    def status(self) -> Literal["fits", "does not fit"]:
        """Whether every layer has a core that can be told what it is."""
        return "fits" if len(self.cores) == len(self.needs) and not self.refused else "does not fit"

    @property
    def sentence(self) -> str:
        """The verdict, as it is printed."""
        whole = f"{self.chip.title}: {self.status}"
        if self.status == "fits":
            return f"{whole} on {len(self.cores)} of {len(self.chip.each)} cores."
        reasons = [f"{name}: {why}" for name, why in self.refused.items()]
        left = [name for name in self.needs if name not in self.cores]
        if left:
            reasons.append(f"no core is left that holds {', '.join(left)}")
        return f"{whole}: {'; '.join(reasons)}."

    def used(self, name: str) -> dict[str, float]:
        """How full its core's memories are, where it has one; 1 is full."""
        if name not in self.cores:
            return {}
        core, need = self.chip.each[self.cores[name]], self.needs[name]
        return {memory: getattr(need, memory) / getattr(core, memory) for memory in MEMORIES}

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        layers = {
            name: {"shape": list(need.shape), **{memory: getattr(need, memory) for memory in MEMORIES}}
            | {"core": self.cores.get(name), "utilisation": self.used(name)}
            for name, need in self.needs.items()
        }
        facts = {"chip": self.chip.id, "status": self.status, "sentence": self.sentence, "layers": layers}
        return facts | {"refused": dict(self.refused)}


def seat(graph: Graph, chip: Seats) -> Seating:
    """Give every spiking layer a core, if there is a way; a readout's synapse is the host's.

    Memories in words as sinabs 3.1.3 counts them (dynapcnn_layer.py): a kernel takes c * 2^(ceil(log2(places)) +
    ceil(log2(f))), its neurons f * 2^(ceil(log2(rows)) + ceil(log2(columns))), for c features in and f out.
    """
    needs = {name: _need(graph, name, node) for name, node in graph.nodes_of(LIF).items()}
    refused = dict(untold(graph, chip.shapes))
    for name in needs:
        receivers = {target for source in _synapses_behind(graph, name) for target in graph.targets(source)}
        if len(receivers) > chip.destinations:
            refused[name] = f"it sends to {len(receivers)} layers, a core to {chip.destinations}"
    return Seating(chip, needs, _matched(needs, chip.each), refused)


def untold(graph: Graph, shapes: Shapes) -> Iterator[tuple[str, str]]:
    """Each node with what a core cannot be told of it."""
    for name, node in graph.nodes.items():
        if isinstance(node, Conv):
            yield from ((name, why) for why in _conv(node, shapes))
        elif isinstance(node, Linear):
            yield from ((name, why) for why in _linear(graph, name, node, shapes))
        elif isinstance(node, Pool):
            square = len(node.kernel) == 2 and len(set(node.kernel)) == 1 and node.kernel[0] in shapes.pools
            if not square or node.stride != node.kernel or any(node.padding):
                yield name, f"a pool over {node.kernel} in steps of {node.stride}, not over squares of {shapes.pools}"


def _conv(node: Conv, shapes: Shapes) -> Iterator[str]:
    if len(node.kernel) != 2 or len(set(node.kernel)) != 1 or node.kernel[0] > shapes.kernel:
        yield f"a kernel of {node.kernel}, not a square of up to {shapes.kernel}"
    if any(step not in shapes.strides for step in node.stride):
        yield f"strides of {node.stride}, not of {shapes.strides}"
    if node.groups != 1 or any(size != 1 for size in node.dilation):
        yield "groups or a dilation, which cores do not have"
    if node.channels > shapes.features:
        yield f"{node.channels} features, a core has {shapes.features}"


def _linear(graph: Graph, name: str, node: Linear, shapes: Shapes) -> Iterator[str]:
    """A dense layer is a kernel over the whole map before it."""
    features, *size = _map_before(graph, name)
    if max(features, len(node.weight)) > shapes.features:
        yield f"{max(features, len(node.weight))} features, a core has {shapes.features}"
    if size and (len(set(size)) != 1 or size[0] > shapes.kernel):
        yield f"its kernel is the whole map of {tuple(size)}, not a square of up to {shapes.kernel}"


def _map_before(graph: Graph, name: str) -> Shape:
    """The shape of what a dense layer sees, before it was flattened."""
    (source, *_) = graph.sources(name)
    return graph.input_shape(source) if isinstance(graph.nodes[source], Flatten) else graph.input_shape(name)


def _need(graph: Graph, name: str, node: LIF) -> Need:
    kernel = 0
    for source in graph.sources(name):
        synapse = graph.nodes[source]
        if isinstance(synapse, Synapse):
            inputs, *places = _map_before(graph, source) if isinstance(synapse, Linear) else synapse.weight.shape[1:]
            kernel += inputs * 2 ** (_bits(int(np.prod(places, dtype=np.int64))) + _bits(synapse.weight.shape[0]))
    features, *space = node.shape
    biases = features if node.bias.any() else 0
    return Need(node.shape, kernel, features * 2 ** sum(_bits(size) for size in space), biases)


def _bits(number: int) -> int:
    return ceil(log2(number))


def _synapses_behind(graph: Graph, name: str) -> list[str]:
    """The synapses that a layer's spikes enter."""
    reached, waiting = [], list(graph.targets(name))
    while waiting:
        here = waiting.pop()
        if isinstance(graph.nodes[here], Synapse):
            reached.append(here)
        elif not isinstance(graph.nodes[here], LIF):
            waiting += graph.targets(here)
    return reached


def _matched(needs: Mapping[str, Need], cores: tuple[Core, ...]) -> dict[str, int]:
    """As many layers as can be on cores that hold them, by augmenting paths."""
    holders: dict[int, str] = {}

    def placed(name: str, asked: set[int]) -> bool:
        for index, core in enumerate(cores):
            fits = all(getattr(needs[name], memory) <= getattr(core, memory) for memory in MEMORIES)
            if fits and index not in asked:
                asked.add(index)
                if index not in holders or placed(holders[index], asked):
                    holders[index] = name
                    return True
        return False

    for name in needs:
        placed(name, set())
    return {name: index for index, name in sorted(holders.items())}
