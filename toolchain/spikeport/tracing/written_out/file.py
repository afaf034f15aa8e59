"""ONNX models of other tools whose neurons are plain operators, captured as the modules that they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from onnx import ModelProto, checker

from spikeport.findings import Finding, SpikeportError, fail, require
from spikeport.formats.facts import misread
from spikeport.formats.onnx.lift import written_out
from spikeport.graph import LIF, Array, Graph, Peak, Scale
from spikeport.tracing import last_functions, over_time
from spikeport.tracing.module import capture
from spikeport.tracing.readings import of_the_reading, same_network
from spikeport.tracing.state import twin_of
from spikeport.tracing.symbols import SAY_STEPS, Unsupported
from spikeport.tracing.verify import CLOSE
from spikeport.tracing.written_out.batches import Recorded
from spikeport.tracing.written_out.module import OnnxModule, OnnxStep, module_of, results
from spikeport.tracing.written_out.sizes import sizes_of
from spikeport.tracing.written_out.straight import straight
from spikeport.tracing.written_out.tidy import inlined

BATCHES = 3  #: so many are run at once and one after another, where the model has one size of batch
FOLDED = 3  #: so many reshapes of different shapes may each fold the batch or not
FAR = 3.0  #: the standard deviation of their values, so that layers fire
BRING = "bring what it was exported from: the module (spikeport export my.py:net), or its .nir"
#: what running a damaged model raises
DAMAGED = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError,
    checker.ValidationError,
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """How the axes of a model's input may be meant."""

    shape: tuple[int, ...]
    options: Mapping[str, Any]


def captured(
    path: Path, model: ModelProto, arrays: Mapping[str, Array], refused: SpikeportError, timesteps: int | None = None
) -> tuple[Graph, tuple[Finding, ...]]:
    """The graph of a model, as `formats.onnx.opened` gave it, that was ``refused`` operator by operator.

    The findings say how it was read.

    Each operator runs as the torch function that it is, and what runs is captured as a module is: every reading of its
    axes is tried, and proved in float64. A model with one size of batch is also compared with the graph at that batch.

    Raises ``refused`` where no operator of it may be a neuron, SP251 for one that torch is not told how to run, and
    what `capture` raises, each with SP258; SP384 alone where only the number of timesteps is missing.
    """
    require(timesteps is None or timesteps > 0, "SP384", f"{timesteps} timesteps", where=str(path), mend="at least 1")
    where = str(path)
    if not written_out(model):
        raise refused
    try:
        module, graph, notes = _read(model, arrays, _needed(model, arrays, timesteps))
        _require_length(graph, timesteps, where)
    except Unsupported as reason:
        code = "SP384" if reason.code == "SP384" else "SP251"
        raise _refused([Finding(code, str(reason), where, mend=reason.mend)], where) from None
    except SpikeportError as error:
        if error.code == "SP113":
            raise
        raise _refused(_grouped(error.findings, where), where) from None
    facts = {"source": "onnx", "format": "onnx", "producer": model.producer_name}
    proof = graph.provenance["verified"]
    states = f", and {', '.join(map(repr, module.states))} are states, 0 at the start" if module.states else ""
    shown = f"{proof['samples']} samples in {proof['type']} show the same {proof['spikes']:,} spikes"
    what = f"its neurons are plain operators{states}, which were followed; {shown}"
    note = Finding("SP259", what, where, severity="note")
    if left_out := graph.provenance.get(last_functions.KEY):
        notes.append(Finding("SP242", last_functions.note(left_out), severity="note"))
    means = over_time.told_of(graph.provenance.get("notes", ()))
    notes += [Finding("SP242", mean, severity="note") for mean in means]
    return graph.with_(provenance={**graph.provenance, **facts}), (note, *(replace(n, where=where) for n in notes))


def _grouped(findings: Iterable[Finding], where: str) -> list[Finding]:
    """One finding for what is the same at each timestep, without what somebody could do who has the module."""
    same: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        same.setdefault((finding.code, finding.what), []).append(finding)
    grouped = []
    for first, *others in same.values():
        more = f" and {len(others)} more" if others else ""
        at = f"{where}, {first.where}{more}" if first.where else where
        grouped.append(replace(first, where=at, mend=first.mend if first.code in ("SP250", "SP384") else ""))
    return grouped


def _refused(findings: list[Finding], where: str) -> SpikeportError:
    """With SP258; not where the number of timesteps is all that is missing."""
    if all(finding.mend == SAY_STEPS for finding in findings):
        return SpikeportError(findings)
    what = "its neurons are plain operators, and what they are is not read off with certainty"
    return SpikeportError([*findings, Finding("SP258", what, where, mend=BRING)])


def _needed(model: ModelProto, arrays: Mapping[str, Array], timesteps: int | None) -> int | None:
    """``timesteps`` where the model does not say them: one of a single step, or with open axes, or with one so long."""
    inputs = [info for info in model.graph.input if info.name not in arrays]
    axes = sizes_of(inputs[0])[:2] if inputs else []
    return timesteps if len(inputs) > 1 or None in axes or timesteps in axes else None


def _require_length(graph: Graph, timesteps: int | None, where: str) -> None:
    """Raise SP113 where a model was written out for another number of steps than ``timesteps``."""
    if timesteps not in (None, graph.timesteps):
        what = f"its operators are written out for {graph.timesteps} timesteps, not for {timesteps}"
        fail("SP113", what, where=where, mend=f"run {graph.timesteps}, or export it for {timesteps}")


def _read(
    model: ModelProto, arrays: Mapping[str, Array], timesteps: int | None
) -> tuple[OnnxModule, Graph, list[Finding]]:
    try:
        model, arrays = straight(inlined(model), arrays, timesteps)
        module = module_of(model, arrays, timesteps).eval()
    except DAMAGED as error:
        what = f"its operators do not fit together ({type(error).__name__}: {misread(error)})"
        fail("SP250", what, mend="export it again")
    ways = list(_ways(module, timesteps))
    if not ways:
        fail("SP250", f"the input's shape {module.sizes} is not known but for the batch")
    graphs: list[tuple[Graph, list[Finding]]] = []
    errors: list[SpikeportError] = []
    once = [way for way in ways if way.options.get("timesteps") == 1 and "forward" in way.options]
    several = [way for way in ways if way not in once]
    for folding in _foldings(module):
        module.folding = folding
        for alike in (several, once):  # an axis of one is a timestep where nothing else can be meant
            for way in alike if not graphs else ():
                try:
                    graphs.append(_captured(module, way))
                except SpikeportError as error:
                    errors.append(error)
        if graphs:
            break
    if not graphs:
        raise min(errors, key=lambda error: (of_the_reading(error), len(error.findings)))
    graph, notes = graphs[0]
    if not all(same_network(graph, other) for other, _ in graphs[1:]):
        raise Unsupported(f"the axes of its input {module.sizes} may be meant in several ways, each another network")
    if module.recorded:
        _as_the_file(module, graph)
    return module, graph, notes


def _foldings(module: OnnxModule) -> Iterator[frozenset[Recorded]]:
    """The reshapes behind which the batch is looked for within another axis first: none of those that leave no more
    axes, all of them, or, where they are few, some."""
    fewer = list(dict.fromkeys(each for each in module.recorded.values() if len(each.behind) <= len(each.before)))
    yield frozenset()
    if fewer:
        yield frozenset(fewer)
    for count in range(1, len(fewer)) if len(fewer) <= FOLDED else ():
        yield from map(frozenset, combinations(fewer, count))


def _ways(module: OnnxModule, timesteps: int | None) -> Iterator[Way]:
    """The first axis counts samples; or it counts timesteps, and the second one samples."""
    sizes = module.sizes
    samples, frames = sizes[1:], sizes[2:]
    steps: dict[str, Any] = {} if timesteps is None else {"timesteps": timesteps}
    if isinstance(module, OnnxStep):
        steps["forward"], frames = "step", []
    if samples and None not in samples:
        yield Way(tuple(int(n or 0) for n in samples), steps)
    if frames and None not in frames:
        for count in dict.fromkeys(size or timesteps for size in sizes[:2]):
            if count is not None and count > 0 and timesteps in (None, count):
                yield Way(tuple(int(n or 0) for n in frames), {"forward": "sequence", "timesteps": count})


def _captured(module: OnnxModule, way: Way) -> tuple[Graph, list[Finding]]:
    """The graph of all outputs, or of the first alone where others are no outputs of a network, such as membranes."""
    try:
        return _without_trains(capture(module, way.shape, **way.options)), []
    except SpikeportError as error:
        if len(module.ends) == 1:
            raise
        try:
            graph = capture(module, way.shape, output=module.ends[0], **way.options)
        except SpikeportError:
            raise error from None
    others = ", ".join(map(repr, module.ends[1:]))
    what = f"its first output {module.ends[0]!r} alone is the network's; not all of {others} can be outputs"
    return graph, [Finding("SP385", what, severity="note", mend="export the module with the outputs that count")]


def _without_trains(graph: Graph) -> Graph:
    """The graph without further outputs that are the spikes of layers, which any run records."""

    def train(end: str) -> bool:
        node, layers = graph.nodes[end], [graph.nodes[source] for source in graph.sources(end)]
        spikes = [isinstance(layer, LIF) and not isinstance(layer, Peak) for layer in layers]
        return isinstance(node, Scale) and bool((node.factor == 1).all()) and spikes == [True]

    ends = [graph.output, *(end for end in graph.outputs[1:] if not train(end))]
    nodes = {name: node for name, node in graph.nodes.items() if name in ends or name not in graph.outputs}
    edges = tuple(edge for edge in graph.edges if edge[1] in nodes)
    return graph.with_(nodes=nodes, edges=edges, named_outputs=tuple(ends) if len(ends) > 1 else ())


def _as_the_file(module: OnnxModule, graph: Graph) -> None:
    """Compare what the module makes of several batches at once with the model at its own, one after another.

    Raises SP382 where that differs: then the batch was looked for at the wrong place of a reshape.
    """
    double = twin_of(module).double()
    axis = int(graph.provenance["forward"] == "sequence" and graph.provenance.get("time_axis", 0) == 0)
    sizes = [size or 1 for size in module.sizes]
    together = [size * BATCHES if at == axis else size for at, size in enumerate(sizes)]
    x = torch.randn(together, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * FAR
    try:
        with torch.no_grad():
            ours = results(double(x))
            theirs = [results(double(part)) for part in torch.tensor_split(x, BATCHES, axis)]
    except (*DAMAGED, Unsupported) as error:
        what = f"several batches at once cannot be held against one after another ({misread(error)})"
        fail("SP382", what, mend=BRING)
    for place, whole in enumerate(ours):
        parts = [made[place] for made in theirs]
        counts = [at for at, size in enumerate(parts[0].shape) if size * BATCHES == whole.shape[at]]
        if not any(torch.allclose(torch.cat(parts, at), whole, rtol=CLOSE, atol=CLOSE) for at in counts):
            fail("SP382", "several batches at once give others results than one after another", mend=BRING)
