"""``spikeport inspect``: a model as a table and as a drawing, with its size and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from spikeport.files import output, sha256, write_text
from spikeport.findings import Finding
from spikeport.graph import LIF, Graph, Loihi, Node, Real, Synapse
from spikeport.reporting.drawing import describe, draw
from spikeport.told import Told
from spikeport.verbs.load import Model, load_model
from spikeport.verbs.parameters import Dt, Frames, Help, ModelLike, Nir, Timesteps


@dataclass(frozen=True, slots=True)
class Row:
    """One node."""

    name: str
    what: str
    shape: str  #: of what leaves it, without time and batch
    parameters: int  #: numbers that it holds: weights, biases, thresholds of all timesteps
    thresholds: str  #: of each timestep, once where all are alike; least ... most where they vary over neurons
    scale: str  #: exponent of a synapse, real value of one membrane unit of a neuron


@dataclass(frozen=True, repr=False)
class Inspection(Told):
    """What `inspect` found."""

    model: str
    kind: str
    arithmetic: str
    timesteps: int
    rows: tuple[Row, ...]
    neurons: int
    parameters: int
    provenance: dict[str, str]  #: hash of the file, and what the model says about its origin
    svg: str = field(repr=False)
    findings: tuple[Finding, ...] = ()  #: what the reader of the file chose

    def _repr_html_(self) -> str:
        """For notebooks: the drawing, in colours that need no page around it."""
        style = (
            "<style>.network rect{fill:none;stroke:#888}.network .neuron rect{stroke:#d2691e}"
            ".network .synapse rect{stroke:#1f6feb}.network .edge{fill:none;stroke:#888}"
            ".network text{fill:currentColor;font:12px sans-serif}</style>"
        )
        return f"<p>{escape(self.model)}: {self.neurons:,} neurons, {self.parameters:,} numbers</p>{style}{self.svg}"


def inspect(
    model: ModelLike,
    *,
    svg: Annotated[Path | str | None, Help("Draw the graph into this .svg file.")] = None,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
) -> Inspection:
    """A model as a table: nodes, thresholds over time, scales, size, and where it comes from.

    Raises what loading raises, SP906 for a wrong file name.

    Examples:

        spikeport inspect model.int.nir

        spikeport inspect model.onnx --svg build/model.svg
    """
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames)
    graph = loaded.graph
    inspection = Inspection(
        model=loaded.name,
        kind=loaded.kind,
        arithmetic=_arithmetic(graph),
        timesteps=graph.timesteps,
        rows=tuple(_row(graph, name) for name in graph),
        neurons=sum(node.size for node in graph.nodes_of(LIF).values()),
        parameters=sum(_numbers(node) for node in graph.nodes.values()),
        provenance=_provenance(loaded),
        svg=str(draw(graph)),
        findings=loaded.findings,
    )
    if svg is not None:
        _write(output(svg, ".svg"), inspection)
    return inspection


def _row(graph: Graph, name: str) -> Row:
    node = graph[name]
    shape = " x ".join(map(str, graph.shapes[name]))
    return Row(name, describe(node), shape, _numbers(node), _thresholds(node), _scale(node, graph))


def _numbers(node: Node) -> int:
    numbers = ("weight", "bias", "threshold", "gamma", "beta", "mean", "var", "decay", "factor")
    values = (getattr(node, field) for field in numbers if field in node.arrays)
    return sum(int(value.size) for value in values if value is not None)


def _thresholds(node: Node) -> str:
    if not isinstance(node, LIF):
        return ""
    flat = node.threshold.reshape(node.timesteps, -1)
    ends = zip(flat.min(1), flat.max(1), strict=True)
    digits = "d" if flat.dtype.kind in "iu" else ".4g"
    texts = [f"{least:{digits}}" if least == most else f"{least:{digits}}...{most:{digits}}" for least, most in ends]
    return f"{texts[0]} at every step" if len(texts) > 1 and len(set(texts)) == 1 else " ".join(texts)


def _scale(node: Node, graph: Graph) -> str:
    if not isinstance(graph.arithmetic, Loihi):
        return ""
    if isinstance(node, Synapse):
        return f"2^{node.exponent}"
    if isinstance(node, LIF):
        least, most = float(np.min(node.unit)), float(np.max(node.unit))
        return f"{least:.3g}" if least == most else f"{least:.3g}...{most:.3g}"
    return ""


def _arithmetic(graph: Graph) -> str:
    arithmetic = graph.arithmetic
    if isinstance(arithmetic, Loihi):
        return f"Loihi integers ({arithmetic.profile.name})"
    return arithmetic.dtype if isinstance(arithmetic, Real) else arithmetic.kind


def _provenance(model: Model) -> dict[str, str]:
    facts = dict(_flat(model.graph.provenance))
    if model.path is not None:
        facts = {"file": str(model.path), "sha256": sha256(model.path)} | facts
    return facts


def _flat(facts: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, str]]:
    """Facts within facts under dotted names, so that a table holds them."""
    for key, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{under}{key}.")
        else:
            yield f"{under}{key}", str(value)


def _write(path: Path, inspection: Inspection) -> None:
    style = (
        "<style>svg{background:white}.edge{fill:none;stroke:#666}rect{fill:white;stroke:#999}"
        ".neuron rect{stroke:#c2410c}.synapse rect{stroke:#1f6feb}text{font:12px sans-serif;fill:#222}"
        ".name{font-weight:bold}.what{font-size:11px;fill:#666}</style>"
    )
    head, _, tail = inspection.svg.partition(">")
    write_text(path, f"{head}>{style}{tail}")
