"""Every node of NIR 1.0.8 as nodes of a Graph, under stated conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.formats import nir_shapes
from spikeport.formats.nir_conventions import Conventions, Discrete, integrating, leaky
from spikeport.formats.nir_cycles import cuts
from spikeport.formats.nir_flat import Flat, Raw
from spikeport.graph import (
    LIF,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    Norm,
    Pool,
    Readout,
    Real,
    Scale,
    Shape,
)

MOST_DELAYS = 64  #: different delays within one Delay node; each becomes a node of its own


@dataclass
class Conversion:
    """One network on its way to a Graph."""

    flat: Flat
    shapes: dict[str, Shape]
    conventions: Conventions
    timesteps: int
    dtype: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    entries: dict[str, list[str]] = field(default_factory=dict)  #: file node -> our nodes that take what enters it
    exits: dict[str, list[str]] = field(default_factory=dict)  #: file node -> our nodes whose sum leaves it
    seen: set[str] = field(default_factory=set)  #: kinds of choices that mattered
    notes: list[Finding] = field(default_factory=list)

    def graph(self) -> Graph:
        """Convert every node, then the edges; cycles get their delay."""
        self._ends()
        lost = [name for name in self.flat.nodes if name not in self.shapes or self.entering(name) is None]
        if lost:
            fail("SP211", f"the shapes at {', '.join(map(repr, lost[:8]))} follow from nothing",
                 mend="give the Input node its shape and connect every node")  # fmt: skip
        findings: list[Finding] = []
        for name, raw in self.flat.nodes.items():
            try:
                RULES[raw.kind](self, name, raw)
            except SpikeportError as error:
                findings += [replace(found, where=f"node {name!r}") for found in error.findings]
        if findings:
            raise SpikeportError(findings)
        for a, b in self.flat.edges:
            self.edges += [(start, end) for start in self.exits[a] for end in self.entries[b]]
        self._break_cycles()
        graph = Graph(
            self.nodes, tuple(self.edges), self.timesteps, Real("float64" if self.dtype == "float64" else "float32"),
            after_end="hold", provenance={"format": "nir", "dt": self.conventions.dt, "rule": self.conventions.rule},
        )  # fmt: skip
        end = graph.output
        sources = graph.sources(end)
        idle = isinstance(graph.nodes[end], Scale) and len(sources) == 1 and graph.targets(sources[0]) == (end,)
        return graph.bypass(end) if idle and sources[0] != graph.input else graph

    def fresh(self, wish: str) -> str:
        """A name that no node has, here or in the file."""
        while wish in self.nodes or wish in self.flat.nodes:
            wish += "_"
        return wish

    def entering(self, name: str) -> Shape | None:
        """Shape of what enters a node of the file."""
        sources = [a for a, b in self.flat.edges if b == name]
        if not sources:
            return self.shapes.get(name)
        return next((self.shapes[source] for source in sources if source in self.shapes), None)

    def _ends(self) -> None:
        kinds = [raw.kind for raw in self.flat.nodes.values()]
        if kinds.count("Input") != 1 or kinds.count("Output") != 1:
            fail("SP211", f"has {kinds.count('Input')} inputs and {kinds.count('Output')} outputs",
                 mend="a network that spikeport runs has one of each")  # fmt: skip

    # -- nodes ----------------------------------------------------------------------------------------------------

    def put(self, name: str, node: Node) -> None:
        """One node for one node."""
        self.nodes[name] = node
        self.entries[name] = self.exits[name] = [name]

    def input(self, name: str, raw: Raw) -> None:
        written = tuple(nir_shapes.integers(raw, "shape"))
        if written != self.shapes[name]:
            self.notes.append(Finding(
                "SP217", f"the input has the shape {written}; a sample is taken as {self.shapes[name]}",
                why="the axes in front are the batch and the time of the data that the exporter saw.",
                mend="export with one frame of one sample", severity="note",
            ))  # fmt: skip
        self.put(name, Input(self.shapes[name], self.conventions.coding))

    def output(self, name: str, raw: Raw) -> None:
        """The end: a readout behind a layer that does not spike, else the sum of what enters."""
        sources = [a for a, b in self.flat.edges if b == name]
        silent = any(self.flat.nodes[a].kind not in ("IF", "LIF", "CubaLIF", "Threshold") for a in sources)
        if silent:
            self.seen.add("output")
            weight = np.zeros(self.timesteps, self.dtype)
            weight[-1 if self.conventions.output == "last" else slice(None)] = 1
            if self.conventions.output == "mean":
                weight /= self.timesteps
            self.put(name, Readout(self.shapes[name], weight))
        else:
            self.put(name, Scale(np.asarray(1.0, self.dtype)))

    def linear(self, name: str, raw: Raw) -> None:
        weight = raw.array("weight")
        if weight.ndim != 2:
            fail("SP210", f"a weight of shape {weight.shape}", mend="use a matrix [out, in]")
        self.put(name, Linear(weight, raw.array("bias").reshape(-1) if raw.kind == "Affine" else None))

    def conv(self, name: str, raw: Raw) -> None:
        weight = raw.array("weight")
        padding, front = nir_shapes.convolution_padding(raw)
        if any(front):
            weight = np.pad(weight, [(0, 0), (0, 0), *((n, 0) for n in front)])
        bias = raw.array("bias").reshape(-1) if "bias" in raw.fields else None
        groups = nir_shapes.integers(raw, "groups")[0] if "groups" in raw.fields else 1
        stride, dilation = (nir_shapes.per_axis(raw, key, 1) for key in ("stride", "dilation"))
        self.put(name, Conv(weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups))

    def pool(self, name: str, raw: Raw) -> None:
        kernel, stride, padding = (nir_shapes.per_axis(raw, key) for key in ("kernel_size", "stride", "padding"))
        self.put(name, Pool("sum" if raw.kind == "SumPool2d" else "average", kernel, stride, padding))

    def flatten(self, name: str, raw: Raw) -> None:
        entering = self.entering(name) or ()
        start, end = (
            nir_shapes.integers(raw, key)[0] if key in raw.fields else default
            for key, default in (("start_dim", 1), ("end_dim", -1))
        )
        last = end + len(entering) if end < 0 else end
        if len(entering) > 1 and (start not in (0, 1) or last < len(entering) - 1):
            fail(
                "SP210",
                f"flattens axes {start} to {end} of {entering}",
                mend="flatten all axes: start_dim 0, end_dim -1",
            )
        if start == 1 and len(entering) > 1:
            self.notes.append(Finding(
                "SP215", f"{name!r} says start_dim 1, as torch does; NIR has no batch axis, so all axes are flattened",
                mend="write start_dim 0 to say so", severity="note",
            ))  # fmt: skip
        self.put(name, Flatten())

    def scale(self, name: str, raw: Raw) -> None:
        self.put(name, Scale(self.numbers(raw.array("scale"), self.shapes[name])))

    def delay(self, name: str, raw: Raw) -> None:
        shape = self.shapes[name]
        exact = np.asarray(raw.array("delay"), np.float64) / self.conventions.dt
        steps = np.rint(exact)
        if not np.isfinite(steps).all() or steps.min(initial=0) < 0 or steps.max(initial=0) > 2**20:
            fail(
                "SP213", f"a delay of {raw.array('delay').max():g} s is {steps.max():g} steps", mend="mend it, or --dt"
            )
        worst = float(np.abs(exact - steps).max(initial=0.0))
        self.seen.add("delay")
        if worst > 1e-6:
            self.notes.append(Finding(
                "SP213", f"delays of {name!r} are rounded to whole steps, by up to {worst:.3g} of a step",
                why="spikes move by that much.", mend="choose --dt so that every delay is a multiple",
                severity="substituted",
            ))  # fmt: skip
        kinds = np.unique(steps)
        if len(kinds) > MOST_DELAYS:
            fail("SP210", f"{len(kinds)} different delays in one node", mend=f"use {MOST_DELAYS} at most")
        self.entries[name], self.exits[name] = [], []
        for wait in kinds:
            mask = Scale(np.broadcast_to(steps == wait, shape).astype(self.dtype))
            chain: list[tuple[str, Node]] = [(self.fresh(f"{name}.only{int(wait)}"), mask)] if len(kinds) > 1 else []
            alone = name if len(kinds) == 1 else self.fresh(f"{name}.{int(wait)}")
            chain += [(alone, Delay(shape, int(wait)))] if wait else []
            chain = chain or [(name, Scale(np.asarray(1.0, self.dtype)))]
            self._chain(chain)
            self.entries[name].append(chain[0][0])
            self.exits[name].append(chain[-1][0])

    def _chain(self, chain: list[tuple[str, Node]]) -> None:
        self.nodes |= dict(chain)
        self.edges += [(a, b) for (a, _), (b, _) in pairwise(chain)]

    def threshold(self, name: str, raw: Raw) -> None:
        """A memoryless neuron: x > threshold, whatever the comparison of the others."""
        shape = self.shapes[name]
        schedule = self.schedule(raw.array("threshold"), shape)
        self.put(name, LIF(shape, np.asarray(0.0, self.dtype), schedule, reset="zero", compare=">"))

    def spiking(self, name: str, raw: Raw) -> None:
        """IF, LIF and CubaLIF."""
        shape = self.shapes[name]
        membrane, extra = self._membrane(name, raw)
        reset_value = raw.array("v_reset") if "v_reset" in raw.fields else np.zeros(1)
        if "v_reset" not in raw.fields:
            self.seen.add("v_reset")
        self.seen.add("compare")
        values: dict[str, Any] = {
            "decay": self.decay(membrane.decay, shape),
            "threshold": self.schedule(raw.array("v_threshold"), shape),
            "bias": self.numbers(membrane.bias, shape),
            "gain": self.numbers(membrane.gain, shape),
            "compare": self.conventions.compare,
        }
        if self.conventions.reset == "subtract":
            values["reset"] = "subtract"
        elif np.any(reset_value != 0):
            values |= {"reset": "value", "reset_value": self.numbers(reset_value, shape)}
        self.put(name, (CubaLIF if raw.kind == "CubaLIF" else LIF)(shape, **values, **extra))

    def _membrane(self, name: str, raw: Raw) -> tuple[Discrete, dict[str, Any]]:
        if raw.kind == "IF":
            found, seconds = integrating(raw.array("r"), self.conventions)
            self.seen.add("seconds" if seconds else "step")
            return found, {}
        self.seen.add("dt")
        if raw.kind == "LIF":
            return leaky(raw.array("tau"), raw.array("r"), raw.array("v_leak"), self.conventions), {}
        w_in = raw.array("w_in") if "w_in" in raw.fields else np.ones(())
        current = leaky(raw.array("tau_syn"), w_in, np.zeros(()), self.conventions)
        membrane = leaky(raw.array("tau_mem"), raw.array("r"), raw.array("v_leak"), self.conventions)
        # i[t] = d i[t-1] + g x and u = ... + R i: R goes into the drive, since our current enters u with gain 1
        shape = self.shapes[name]
        gain = current.gain * membrane.gain
        extra: dict[str, Any] = {"current_decay": self.decay(current.decay, shape)}
        return Discrete(membrane.decay, gain, membrane.bias), extra

    def filtering(self, name: str, raw: Raw) -> None:
        """I, LI and CubaLI do not spike: y[t] = decay y[t-1] + gain x[t] + bias, a loop through a Delay."""
        if raw.kind == "I":
            found, seconds = integrating(raw.array("r"), self.conventions)
            self.seen.add("seconds" if seconds else "step")
            stages = [found]
        elif raw.kind == "LI":
            self.seen.add("dt")
            stages = [leaky(raw.array("tau"), raw.array("r"), raw.array("v_leak"), self.conventions)]
        else:
            self.seen.add("dt")
            w_in = raw.array("w_in") if "w_in" in raw.fields else np.ones(())
            stages = [leaky(raw.array("tau_syn"), w_in, np.zeros(()), self.conventions),
                      leaky(raw.array("tau_mem"), raw.array("r"), raw.array("v_leak"), self.conventions)]  # fmt: skip
        names = [self.fresh(f"{name}.current"), name][-len(stages) :]
        firsts = [self._filter(own, stage, self.shapes[name]) for own, stage in zip(names, stages, strict=True)]
        self.edges += [(own, first) for own, first in zip(names, firsts[1:], strict=False)]
        self.entries[name], self.exits[name] = firsts[:1], [name]

    def _filter(self, name: str, stage: Discrete, shape: Shape) -> str:
        """The loop of one filter, whose sum is called ``name``; the node that takes the input."""
        decay = self.decay(stage.decay, shape)
        first, leak, past = (self.fresh(f"{name}.{part}") for part in ("in", "leak", "past"))
        self.nodes |= {first: self._affine(stage, shape), name: Scale(np.asarray(1.0, self.dtype)),
                       leak: Scale(decay), past: Delay(shape, 1)}  # fmt: skip
        self.edges += [(first, name), (name, leak), (leak, past), (past, name)]
        return first

    def _affine(self, stage: Discrete, shape: Shape) -> Node:
        if not np.any(stage.bias):
            return Scale(self.numbers(stage.gain, shape))
        gain, bias = (self.numbers(value, shape) for value in (stage.gain, stage.bias))
        if max(gain.ndim, bias.ndim) > 1:
            fail("SP210", "a leak potential that differs within a channel, in a neuron that does not spike",
                 mend="give one v_leak a channel")  # fmt: skip
        full = [np.broadcast_to(value, shape[:1]).astype(self.dtype) for value in (gain, bias)]
        ones = np.ones(shape[:1], self.dtype)
        return Norm(full[0], full[1], 0 * ones, ones, eps=0.0)

    # -- numbers --------------------------------------------------------------------------------------------------

    def numbers(self, value: Array, shape: Shape) -> Array:
        """A parameter in the graph's type: one value where all are equal, else one a channel or one a neuron."""
        value = np.asarray(value)
        with np.errstate(over="ignore"):
            cast = value.astype(self.dtype)
        if value.dtype.kind == "f" and not np.isfinite(cast).all():
            fail("SP202", f"a parameter of {value.flat[0]:g}, which {self.dtype} cannot hold", mend="export it again")
        first = cast.reshape(-1)[:1]
        if value.size and bool((cast == first).all()):
            return np.asarray(first[0], self.dtype)
        if value.shape not in (shape, shape[:1]):
            fail(
                "SP202", f"a parameter of shape {value.shape} in a layer of {shape}", mend="one value, or one a neuron"
            )
        return cast

    def decay(self, value: Array, shape: Shape) -> Array:
        """A decay, which a step longer than the time constant turns negative."""
        if not np.isfinite(value).all() or value.min(initial=0.0) < 0 or value.max(initial=0.0) > 1:
            fail(
                "SP213",
                f"with dt = {self.conventions.dt:g} s the decay is {float(np.nanmin(value)):g} a step",
                why="the step is longer than a time constant of the file, or a time constant is no positive number.",
                mend="choose a smaller --dt, or --nir rule=exponential; tau may be in steps: --dt 1",
            )
        return self.numbers(value, shape)

    def schedule(self, value: Array, shape: Shape) -> Array:
        """The threshold of the file at every step."""
        once = self.numbers(value, shape)
        return np.broadcast_to(once, (self.timesteps, *once.shape))

    # -- cycles ---------------------------------------------------------------------------------------------------

    def _break_cycles(self) -> None:
        """NIR's recurrent edges act on the next step: put a Delay of one into each edge that closes a cycle."""
        for a, b in cuts(self.nodes, self.edges):
            name = self.fresh(f"{a}.to.{b}")
            shape = next(self.shapes[known] for known, exits in self.exits.items() if a in exits)
            self.nodes[name] = Delay(shape, 1)
            self.edges[self.edges.index((a, b))] = (a, name)
            self.edges.append((name, b))
            self.notes.append(Finding(
                "SP214", f"{a!r} feeds back into {b!r}; its value arrives one step later",
                why="NIR's equations are continuous, where an answer is never simultaneous.",
                mend="put a Delay node into the loop to say how long it takes", severity="note",
            ))  # fmt: skip


RULES: Mapping[str, Callable[[Conversion, str, Raw], None]] = {
    "Input": Conversion.input, "Output": Conversion.output, "Affine": Conversion.linear,
    "Linear": Conversion.linear, "Scale": Conversion.scale, "Conv1d": Conversion.conv, "Conv2d": Conversion.conv,
    "SumPool2d": Conversion.pool, "AvgPool2d": Conversion.pool, "Flatten": Conversion.flatten,
    "Delay": Conversion.delay, "Threshold": Conversion.threshold, "I": Conversion.filtering,
    "LI": Conversion.filtering, "CubaLI": Conversion.filtering, "IF": Conversion.spiking,
    "LIF": Conversion.spiking, "CubaLIF": Conversion.spiking,
}  # fmt: skip
