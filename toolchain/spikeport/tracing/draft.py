"""The graph while it is drawn up: nodes, their inputs, and neurons that wait for the number of timesteps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from torch import nn

from spikeport.findings import Finding, SpikeportError, raise_errors
from spikeport.graph import LIF, Array, Delay, Edge, Graph, Input, Node, Readout, Real, Scale, Shape
from spikeport.tracing.registry import Cells, Registered
from spikeport.tracing.symbols import Symbol, Unsupported


@dataclass(frozen=True)
class Pending:
    """A neuron layer whose schedule waits until the number of timesteps is known."""

    module: nn.Module
    kind: Registered
    shape: Shape


@dataclass
class Draft:
    """What the tracer writes into."""

    dtype: np.dtype[Any]
    nodes: dict[str, Node | Pending] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    keys: dict[tuple[Any, ...], str] = field(default_factory=dict)
    constant: set[str] = field(default_factory=set)  #: nodes that give the same at every step
    _graded: dict[str, str] = field(default_factory=dict)  #: neurons whose spikes leave through a Scale

    def number(self, value: Any) -> Array:
        """An array in the graph's float type."""
        return np.asarray(value, dtype=self.dtype)

    def name(self, path: str, alone: bool, op: str) -> str:
        """A name that is free: the module's path where the module does only this, else path and operation."""
        base = path if alone and path else ".".join(part for part in (path, op) if part)
        name, count = base, 1
        while name in self.nodes:
            count += 1
            name = f"{base}#{count}"
        return name

    def source(self, name: str, shape: Shape, coding: str) -> Symbol:
        """The input."""
        self.nodes[name] = Input(shape, coding=coding)  # type: ignore[arg-type]
        if coding == "direct":
            self.constant.add(name)
        return Symbol({name: 1}, shape, "frame")

    def apply(self, node: Node, x: Symbol, path: str, alone: bool, op: str) -> Symbol:
        """The result of a node without state; the same node over the same inputs is drawn once."""
        terms = self.terms(x)
        key = (path, op, tuple(sorted(terms)), digest(node))
        if key not in self.keys:
            name = self.name(path, alone, op)
            self._add(name, node, terms)
            self.keys[key] = name
        try:
            shape = node.output_shape(x.shape)
        except SpikeportError as error:
            raise Unsupported(error.findings[0].what) from error
        return x.at({self.keys[key]: 1}, shape)

    def neurons(self, module: nn.Module, kind: Registered, x: Symbol, path: str) -> str:
        """A neuron layer over ``x``; the same module over the same inputs is drawn once."""
        terms = self.terms(x)
        key = ("neurons", id(module), tuple(sorted(terms)))
        if key not in self.keys:
            name = self.name(path, True, "neurons")
            self._add(name, Pending(module, kind, x.shape), terms, state=True)
            self.keys[key] = name
        return self.keys[key]

    def terms(self, x: Symbol) -> list[str]:
        """The nodes whose sum ``x`` is; a node that counts several times goes through a `Scale`."""
        names = []
        for name, count in x.terms.items():
            if count == 1:
                names.append(name)
                continue
            key = ("times", name, count)
            if key not in self.keys:
                times = self.name(name, False, f"times{count}")
                self._add(times, Scale(self.number(count)), [name])
                self.keys[key] = times
            names.append(self.keys[key])
        return names

    def is_constant(self, x: Symbol) -> bool:
        """Whether ``x`` is the same at every step."""
        return all(name in self.constant for name in x.terms)

    def _add(self, name: str, node: Node | Pending, terms: list[str], *, state: bool = False) -> None:
        self.nodes[name] = node
        self.edges += [(term, name) for term in terms]
        if not state and all(term in self.constant for term in terms):
            self.constant.add(name)

    def finish(self, output: Symbol, timesteps: int, provenance: Mapping[str, Any]) -> Graph:
        """The graph: neurons converted, a readout at the end, and nothing that leads nowhere."""
        self._convert(timesteps)
        ends = {self._graded.get(name, name): count for name, count in output.terms.items()}
        self._end(output.at(ends, output.shape), timesteps)
        return Graph(
            self.nodes,  # type: ignore[arg-type]  # _convert has replaced what was pending
            tuple(self.edges),
            timesteps,
            Real(self.dtype.name),  # type: ignore[arg-type]
            provenance=provenance,
        )

    def _convert(self, timesteps: int) -> None:
        findings: list[Finding] = []
        for name, waiting in list(self.nodes.items()):
            if not isinstance(waiting, Pending):
                continue
            try:
                converted = waiting.kind.convert(waiting.module, waiting.shape, timesteps)
            except SpikeportError as error:
                findings += [
                    Finding(f.code, f.what, f"module {name!r} ({type(waiting.module).__name__})", f.why, f.mend)
                    for f in error.findings
                ]
                continue
            cells = converted if isinstance(converted, Cells) else Cells(converted)
            self.nodes[name] = in_type(cells.node, self.dtype)
            self._feed_back(name, cells)
        raise_errors(findings)

    def _feed_back(self, name: str, cells: Cells) -> None:
        for steps, factor in cells.feedback:
            delay, scale = self.name(name, False, f"after{steps}"), self.name(name, False, f"back{steps}")
            self.nodes[delay] = Delay(cells.node.shape, steps)
            self.nodes[scale] = Scale(self.number(factor))
            self.edges += [(name, delay), (delay, scale), (scale, name)]
        if cells.graded is not None:
            graded = self.name(name, False, "graded")
            back = {edge for edge in self.edges if edge[0] == name and isinstance(self.nodes[edge[1]], Delay)}
            moved = [(graded, b) if a == name and (a, b) not in back else (a, b) for a, b in self.edges]
            self.nodes[graded] = Scale(self.number(cells.graded))
            self._graded[name] = graded
            self.edges = [*moved, (name, graded)]

    def _end(self, output: Symbol, timesteps: int) -> None:
        self._prune(output)
        terms = self.terms(output)
        leaves = [name for name in self.nodes if not any(a == name for a, _ in self.edges)]
        weights = np.full(timesteps, 1 / timesteps)
        if output.weights is not None:
            weights = np.asarray([output.weights.get(t, 0.0) for t in range(timesteps)])
        elif leaves == terms and isinstance(self.nodes[terms[0]], LIF):
            return  # spikes that leave the network are counted, not averaged
        zero = self.number(0.0)
        readout = Readout(output.shape, self.number(weights), bias=zero, unit=self.number(1.0))
        name = self.name("readout", True, "")
        self.nodes[name] = readout
        self.edges += [(term, name) for term in terms]

    def _prune(self, output: Symbol) -> None:
        """Take out what the output does not depend on (it was computed and thrown away)."""
        needed, open_ends = set(), list(output.terms)
        while open_ends:
            name = open_ends.pop()
            if name not in needed:
                needed.add(name)
                open_ends += [a for a, b in self.edges if b == name]
        self.nodes = {name: node for name, node in self.nodes.items() if name in needed or isinstance(node, Input)}
        self.edges = [edge for edge in self.edges if edge[1] in needed and edge[0] in needed]


def in_type(node: Node, dtype: np.dtype[Any]) -> Node:
    """The node with its arrays in one float type."""
    arrays = {name: getattr(node, name) for name in node.arrays}
    return node.with_(**{name: value.astype(dtype) for name, value in arrays.items() if value is not None})


def digest(node: Node) -> str:
    """What a node computes, as a short text: equal for equal nodes."""
    hasher = hashlib.blake2b(type(node).__name__.encode(), digest_size=16)
    for part in _parts(node):
        hasher.update(part)
    return hasher.hexdigest()


def _parts(node: Node) -> Iterator[bytes]:
    for item in fields(node):
        value = getattr(node, item.name)
        yield item.name.encode()
        if isinstance(value, np.ndarray):
            yield str((value.dtype, value.shape)).encode()
            yield np.ascontiguousarray(value).tobytes()
        else:
            yield repr(value).encode()
