"""``spikeport export``: write a model as .nir or .onnx, thresholds and all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikeport import preprocessing
from spikeport.engine import simulate
from spikeport.files import output
from spikeport.findings import Finding
from spikeport.graph import Array, Graph
from spikeport.record import Record
from spikeport.target import Request
from spikeport.verbs.load import Model, load_data, load_model

CALIBRATION = 256  #: samples of the training split on which the cost of `thresholds="approx"` is measured


def export(
    model: Model | Graph | Path | str, out: Path | str, *, data: str | None = None, **options: Any
) -> tuple[Finding, ...]:
    """Write ``model`` to ``out``; the ending, .nir or .onnx, chooses the format.

    ``options`` go to the writer: ``thresholds`` for NIR (guard, approx), ``time`` (scan, unroll, step) and ``inline``
    for ONNX. ``data`` names the data set on which the cost of ``thresholds="approx"`` is measured. Returns what the
    writer had to say. Raises SP906 for an ending that is neither.
    """
    path = output(out, ".nir", ".onnx")
    loaded = load_model(model)
    if path.suffix.lower() == ".nir":
        from spikeport.formats import nir

        if data is not None:
            options |= {"calibration": load_data(data, "train", loaded.graph, CALIBRATION).x, "run": _run}
        found = nir.write(loaded.graph, path, **options)
    else:
        from spikeport.formats import onnx

        found = onnx.write(loaded.graph, path, **options)
    how = preprocessing.of(loaded.graph.provenance)
    return (*loaded.findings, *(found or ()), *([] if how is None else [how.note()]))


def _run(graph: Graph, samples: Array) -> Record:
    return simulate(graph, samples, Request(trains=True))
