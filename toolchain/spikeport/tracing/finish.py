"""The end of a drawing: neurons are converted, a readout is put at the end, and what leads nowhere is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, Array, Delay, Edge, Graph, Input, Node, Norm, Operation, Peak, Readout, Real, Scale
from spikeport.graph.arrays import compact_schedule
from spikeport.tracing.digests import in_type
from spikeport.tracing.draft import LATER, Draft
from spikeport.tracing.registry import MEMBRANE, OUTSIDE, Cells
from spikeport.tracing.schedules import Entering, stepped
from spikeport.tracing.symbols import ALL, Out, Symbol, Unsupported, compact, over
from spikeport.tracing.timing import by_channel, timing
from spikeport.tracing.waiting import Drawn, Waiting


@dataclass
class Finish:
    """What is needed for an output, node by node."""

    draft: Draft
    timesteps: int
    findings: list[Finding] = field(default_factory=list)
    causes: set[int] = field(default_factory=set)  #: numbers of the tracer's findings about what is needed
    graded: dict[str, str] = field(default_factory=dict)  #: neurons whose spikes leave through a Scale
    wires: set[Edge] = field(default_factory=set)  #: edges within layers of several nodes
    notes: list[str] = field(default_factory=list)  #: what a layer's converter has to say
    parts: set[str] = field(default_factory=set)  #: nodes of such layers besides the one that has the layer's name
    membranes: dict[str, str] = field(default_factory=dict)  #: nodes that add up the membrane of such a layer

    def graph(
        self, outputs: Mapping[str, Symbol], provenance: Mapping[str, Any], shares: Sequence[float]
    ) -> Graph | None:
        """The graph, or None where findings or causes say why there is none. Of several ``outputs`` nodes are named so;
        of one the name is not used. ``shares`` say what each step of an output over time counts."""
        ends = {}
        for key, output in outputs.items():
            self.causes |= output.causes
            try:
                ends[key] = self._ends(output)
            except Unsupported as reason:
                self.findings.append(Finding("SP385", f"the module's result {reason}", mend=reason.mend))
                return None
        needed = self._needed([name for names, _, _ in ends.values() for name in names])
        if self.findings or self.causes:
            return None
        self._weighted_gates()
        draft = self.draft
        order = [name for name in draft.nodes if name in needed or isinstance(draft.nodes[name], Input)]
        nodes = {name: draft.nodes[name] for name in order}
        edges = [edge for edge in dict.fromkeys(draft.edges) if edge[0] in nodes and edge[1] in nodes]
        leaves = [name for name in nodes if not any(a == name for a, _ in edges)]
        read: list[str] = []
        for (key, (names, weights, bias)), each in zip(ends.items(), shares, strict=True):
            names = [self.graded.get(name, name) for name in names]
            counted = weights is None and all(isinstance(nodes[name], LIF) for name in names) and not bias.any()
            if counted and len(ends) == len(names) == 1 and names == leaves:
                read.append(names[0])
                continue
            if len(ends) > 1 and isinstance(nodes[names[0]], Peak):  # which nothing leaves: it is the output itself
                read.append(draft.name(key, True, ""))
                nodes[read[-1]] = nodes.pop(names[0])
                edges = [(a, read[-1] if b == names[0] else b) for a, b in edges]
                continue
            weights = np.full(self.timesteps, each) if weights is None else weights
            read.append(draft.name("readout" if len(ends) == 1 else key, True, ""))
            number = draft.number
            out: Node = Readout(outputs[key].shape, number(weights), bias=number(bias), unit=number(1.0))
            nodes[read[-1]] = Scale(number(1.0)) if counted and len(ends) > 1 else out
            edges += [(end, read[-1]) for end in names]
        provenance = {**provenance, "notes": self.notes} if self.notes else provenance
        facts = {"provenance": provenance, "named_outputs": tuple(read) if len(read) > 1 else ()}
        return Graph(nodes, tuple(edges), self.timesteps, Real(draft.dtype.name), **facts)  # type: ignore[arg-type]

    # -- the output ---------------------------------------------------------------------------------------------------

    def _ends(self, output: Symbol) -> tuple[list[str], Array | None, Array]:
        """The nodes that are read out, the weights of each step (None: all steps count alike), and a bias."""
        x = self.draft.gated(output)
        factors, lags, when = self._timing(x)
        names = [
            self.draft.times(self.draft.delayed(name, lag), factor)
            for (name, factor), lag in zip(factors.items(), lags, strict=True)
        ]
        if when == ALL or (when is None and x.timed):
            return names, None, x.constant
        if when is None:
            return names, None, x.constant
        shares = {when: np.ones(())} if isinstance(when, int) else {t: np.asarray(share) for t, share in when.items()}
        rows = [over(shares.get(t, np.zeros(())), x.shape) for t in range(self.timesteps)]
        weights = np.stack(np.broadcast_arrays(*rows))
        total = weights.sum(0)
        weights = compact_schedule(weights)
        if not x.constant.any():
            return names, weights, x.constant
        if np.isclose(total, 0.0).any():
            raise Unsupported("adds a constant to a sum over time whose weights cancel")
        return names, weights, compact(over(x.constant, x.shape) / total)

    def _timing(self, x: Symbol) -> tuple[dict[str, Array], list[int], Any]:
        """As `timing`; where one node counts a step later than another in a sum over time, it is read out delayed, and
        each channel may have weights of its own."""
        try:
            return timing(x)
        except Unsupported:
            taps = _taps(x, self.timesteps) or by_channel(x)
            if taps is None:
                raise
            return taps

    # -- what it needs ------------------------------------------------------------------------------------------------

    def _needed(self, ends: list[str]) -> set[str]:
        needed: set[str] = set()
        waiting = list(ends)
        while waiting:
            name = waiting.pop()
            if name in needed:
                continue
            needed.add(name)
            self.causes |= self.draft.causes.get(name, frozenset())
            node = self.draft.nodes[name]
            if isinstance(node, Operation) and LATER in node.operands:
                what = f"{type(node).__name__.lower()}: joins values that depend on the input with constants"
                self.findings.append(Finding("SP380", what, f"node {name!r}"))
            if isinstance(node, Waiting):
                before = set(self.draft.nodes)
                self._convert(name, node)
                waiting += [new for new in self.draft.nodes if new not in before]
            waiting += [a for a, b in self.draft.edges if b == name]
        return needed

    def _convert(self, name: str, node: Waiting) -> None:
        try:
            drawn = node.build(self.timesteps)
            self._connect(name, drawn)
        except Unsupported as reason:
            self.findings.append(Finding(reason.code, str(reason), node.where, mend=reason.mend))
        except SpikeportError as error:
            self.findings += [Finding(f.code, f.what, node.where or name, f.why, f.mend) for f in error.findings]

    def _connect(self, name: str, drawn: Drawn) -> None:
        draft = self.draft
        draft.nodes[name] = in_type(drawn.cells.node, draft.dtype)
        if drawn.gains or drawn.biases is not None:
            self._join(name, drawn.cells, self._stepped(name, drawn))
            return
        if drawn.membrane is not None:
            layer, factor = drawn.membrane
            self._join(name, drawn.cells, [draft.times(self._membrane(layer), factor)])
            return
        names = [draft.delayed(source, lag) for source, lag in drawn.inputs]
        factors = list(drawn.inputs.values())
        constant = drawn.constant
        if len(names) == 1 and constant.any() and factors[0].ndim <= 1 and constant.ndim <= 1:
            names = [draft.norm(names[0], factors[0], constant, draft.shapes[name])]
        else:
            names = [draft.times(source, factor) for source, factor in zip(names, factors, strict=True)]
            names = [self._shifted(name, names, constant)] if constant.any() else names
        self._join(name, drawn.cells, names)

    def _membrane(self, layer: str) -> str:
        """The node that adds up the membrane of a layer."""
        node = self.draft.nodes[layer]
        if isinstance(node, Waiting):
            self._convert(layer, node)
        if layer not in self.membranes:
            raise Unsupported(f"compares the membrane of {layer!r}, which no node of its own adds up")
        return self.membranes[layer]

    def _stepped(self, name: str, drawn: Drawn) -> list[str]:
        """What enters through a `StepAffine`."""
        constant, biases = drawn.constant, drawn.biases
        if biases is None and constant.any() and not drawn.inputs and len(drawn.gains) == 1:
            constant, biases = np.zeros(()), np.stack([constant] * self.timesteps)  # beside the gains, in one node
        whole = Entering(drawn.inputs, constant, drawn.gains, biases)
        names = stepped(self.draft, whole, name, self.draft.shapes[name])
        return [self._shifted(name, names, constant)] if constant.any() else names

    def _join(self, name: str, cells: Cells, names: list[str]) -> None:
        """Put a layer behind what enters it, and what its spikes do besides leaving it."""
        draft = self.draft
        inner = self._parts(name, cells)
        self.notes += [f"{name}: {note}" for note in cells.notes]
        draft.edges += [(source, inner[entry]) for source in names for entry in cells.entry]
        for steps, factor in cells.feedback:
            delay, scale = draft.name(name, False, f"after{steps}"), draft.name(name, False, f"back{steps}")
            draft.nodes[delay] = Delay(draft.shapes[name], steps)
            draft.nodes[scale] = Scale(draft.number(factor))
            draft.edges += [(name, delay), (delay, scale), (scale, name)]
        if cells.graded is not None:
            self._grade(name, cells.graded)

    def _parts(self, name: str, cells: Cells) -> dict[str, str]:
        """Put the parts of a layer into the draft; the names that they have there."""
        draft, names = self.draft, {"": name}
        for part, node in cells.parts.items():
            names[part] = draft.name(name, False, part)
            draft.nodes[names[part]] = in_type(node, draft.dtype)
        if MEMBRANE in names:
            self.membranes[name] = names[MEMBRANE]
            draft.shapes[names[MEMBRANE]] = draft.shapes[name]
        for part, node in cells.parts.items():
            if isinstance(node, Operation):
                operands = tuple(names[operand] for operand in node.operands)
                draft.nodes[names[part]] = node.with_(operands=operands)
        wires = [(names.get(a) or a.removeprefix(OUTSIDE), names[b]) for a, b in cells.wires]
        draft.edges += wires
        self.wires |= set(wires)
        self.parts |= set(names.values()) - {name}
        return names

    def _shifted(self, name: str, names: list[str], constant: Array) -> str:
        draft = self.draft
        shape = draft.shapes[name]
        if constant.ndim > 1:
            raise Unsupported(f"adds a constant a neuron, of shape {constant.shape}; one a channel can be held")
        ones = draft.number(np.ones(shape[:1]))
        shift = draft.name(name, False, "shift")
        norm = Norm(ones, draft.number(np.broadcast_to(constant, shape[:1])), 0 * ones, ones, eps=0.0)
        draft.add(shift, norm, names, shape)
        return shift

    def _grade(self, name: str, factor: Array) -> None:
        draft = self.draft
        graded = draft.name(name, False, "graded")
        draft.nodes[graded] = Scale(draft.number(factor))
        self.graded[name] = graded

    def _weighted_gates(self) -> None:
        """Spikes that count other than 1 leave through their factor; the layer's connection to itself does not."""
        for name, graded in self.graded.items():
            own = {b for a, b in self.draft.edges if a == name and ((a, b) in self.wires or self._returns(b, name))}
            self.draft.edges = [(graded, b) if a == name and b not in own else (a, b) for a, b in self.draft.edges]
            self.draft.edges.append((name, graded))
            for other in {b for a, b in self.draft.edges if a == graded}:
                node = self.draft.nodes[other]
                if isinstance(node, Operation):
                    renamed = tuple(graded if operand == name else operand for operand in node.operands)
                    self.draft.nodes[other] = node.with_(operands=renamed)

    def _returns(self, delay: str, name: str) -> bool:
        nexts = [b for a, b in self.draft.edges if a == delay and isinstance(self.draft.nodes[delay], Delay)]
        return any((scale, name) in self.draft.edges and scale.startswith(f"{name}.back") for scale in nexts)


def _taps(x: Symbol, timesteps: int) -> tuple[dict[str, Array], list[int], Any] | None:
    """Several nodes over time with the same weights, one a step later than another: membranes that leak."""
    values: dict[str, list[Array]] = {}
    steady: dict[str, float] = {}
    for product, factor in x.terms.items():
        (out,) = product
        if not isinstance(out, Out) or out.step == ALL or factor.ndim or (out.step or 0) >= timesteps:
            return None
        if out.step is None:
            steady[out.node] = float(factor)
            continue
        steps = values.setdefault(out.node, [np.zeros(())] * timesteps)
        steps[out.step] = factor
    rows = {node: np.asarray([float(v) for v in steps]) for node, steps in values.items()}
    for weights in rows.values():
        factors: dict[str, Array] = {}
        lags = []
        for node, row in rows.items():
            fit = _lag(row, weights)
            if fit is None:
                break
            factors[node], lag = np.asarray(fit[0]), fit[1]
            lags.append(lag)
        else:
            total = float(weights.sum())
            if steady and not total:
                return None
            factors |= {node: np.asarray(factor / total) for node, factor in steady.items()}
            return factors, [*lags, *[0] * len(steady)], dict(enumerate(weights.tolist()))
    return None


def _lag(row: Array, weights: Array) -> tuple[float, int] | None:
    """(f, lag) with row[t] = f * weights[t + lag]."""
    for lag in range(3):
        later = np.concatenate([weights[lag:], np.zeros(lag)])
        if not later.any():
            return None
        at = int(np.abs(later).argmax())
        factor = row[at] / later[at]
        if factor and np.allclose(row, factor * later, rtol=1e-9, atol=1e-300):
            return float(factor), lag
    return None
