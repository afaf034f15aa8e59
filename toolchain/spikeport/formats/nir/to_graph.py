"""Every node of NIR 1.0.8 as nodes of a Graph, under stated conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.formats.nir import to_graph_neurons, to_graph_stateless
from spikeport.formats.nir.cut_cycles import cuts
from spikeport.formats.nir.draft import Draft
from spikeport.formats.nir.subgraphs import Raw
from spikeport.graph import Delay, Graph, Real, Scale

RULES: Mapping[str, Callable[[Draft, str, Raw], None]] = {
    "Input": to_graph_stateless.entry,
    "Output": to_graph_stateless.leaving,
    "Affine": to_graph_stateless.linear,
    "Linear": to_graph_stateless.linear,
    "Scale": to_graph_stateless.scale,
    "Conv1d": to_graph_stateless.conv,
    "Conv2d": to_graph_stateless.conv,
    "SumPool2d": to_graph_stateless.pool,
    "AvgPool2d": to_graph_stateless.pool,
    "Flatten": to_graph_stateless.flatten,
    "Delay": to_graph_stateless.delay,
    "Threshold": to_graph_neurons.threshold,
    "I": to_graph_neurons.filtering,
    "LI": to_graph_neurons.filtering,
    "CubaLI": to_graph_neurons.filtering,
    "IF": to_graph_neurons.spiking,
    "LIF": to_graph_neurons.spiking,
    "CubaLIF": to_graph_neurons.spiking,
}


def convert(work: Draft) -> Graph:
    """Convert every node, then the edges; cycles get their delay.

    Raises SP202, SP210, SP213 with every node that cannot be, SP211 where inputs, outputs or shapes are not clear.
    """
    _ends(work)
    lost = [name for name in work.flat.nodes if name not in work.shapes or work.entering(name) is None]
    if lost:
        fail(
            "SP211",
            f"the shapes at {', '.join(map(repr, lost[:8]))} follow from nothing",
            mend="give the Input node its shape and connect every node",
        )
    findings: list[Finding] = []
    for name, raw in work.flat.nodes.items():
        try:
            RULES[raw.kind](work, name, raw)
        except SpikeportError as error:
            findings += [replace(finding, where=f"node {name!r}") for finding in error.findings]
    if findings:
        raise SpikeportError(findings)
    work.edges += [(start, end) for a, b in work.flat.edges for start in work.exits[a] for end in work.entries[b]]
    _break_cycles(work)
    outputs = tuple(name for name, raw in work.flat.nodes.items() if raw.kind == "Output")
    if len(outputs) > 1:
        work.notes.append(_several(outputs))
    return _without_idle_ends(
        Graph(
            work.nodes,
            tuple(work.edges),
            work.timesteps,
            Real("float64" if work.dtype == "float64" else "float32"),
            after_end="hold",
            provenance={"format": "nir", "dt": work.conventions.dt, "rule": work.conventions.rule},
            named_outputs=outputs if len(outputs) > 1 else (),
        )
    )


def _ends(work: Draft) -> None:
    kinds = [raw.kind for raw in work.flat.nodes.values()]
    if kinds.count("Input") != 1 or "Output" not in kinds:
        fail(
            "SP211",
            f"has {kinds.count('Input')} inputs and {kinds.count('Output')} outputs",
            mend="a network that spikeport runs has one input, and an output or several",
        )


def _several(outputs: tuple[str, ...]) -> Finding:
    return Finding(
        "SP132",
        f"has the outputs {', '.join(map(repr, outputs))}; the first, {outputs[0]!r}, decides a sample",
        why="NIR does not say which of them is the answer; they stand in the file's order.",
        mend="nothing if that is right; else write the one that decides first",
        severity="note",
    )


def _without_idle_ends(graph: Graph) -> Graph:
    """Take out the factor of 1 that stands for an Output behind a single layer."""
    for end in graph.outputs:
        sources = graph.sources(end)
        idle = isinstance(graph.nodes[end], Scale) and len(sources) == 1 and graph.targets(sources[0]) == (end,)
        graph = graph.bypass(end) if idle and sources[0] != graph.input else graph
    return graph


def _break_cycles(work: Draft) -> None:
    """NIR's recurrent edges act on the next step: put a Delay of one into each edge that closes a cycle."""
    closing = cuts(work.nodes, work.edges)
    if not closing:
        return
    places = {edge: place for place, edge in enumerate(work.edges)}
    shapes = {end: work.shapes[known] for known, exits in reversed(work.exits.items()) for end in exits}
    for a, b in closing:
        name = work.fresh(f"{a}.to.{b}")
        work.nodes[name] = Delay(shapes[a], 1)
        work.edges[places[a, b]] = (a, name)
        work.edges.append((name, b))
        work.notes.append(
            Finding(
                "SP214",
                f"{a!r} feeds back into {b!r}; its value arrives one step later",
                why="NIR's equations are continuous, where an answer is never simultaneous.",
                mend="put a Delay node into the loop to say how long it takes",
                severity="note",
            )
        )
