"""``spikeport export``: write a model as .nir or .onnx, thresholds and all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikeport.api.files import output
from spikeport.api.load import Model, load_model
from spikeport.findings import Finding
from spikeport.graph import Graph


def export(model: Model | Graph | Path | str, out: Path | str, **options: Any) -> tuple[Finding, ...]:
    """Write ``model`` to ``out``; the ending, .nir or .onnx, chooses the format.

    ``options`` go to the writer: ``thresholds`` for NIR (guard, approx), ``time`` for ONNX (scan, unroll, step).
    Returns what the writer had to say. Raises SP906 for an ending that is neither.
    """
    path = output(out, ".nir", ".onnx")
    loaded = load_model(model)
    if path.suffix.lower() == ".nir":
        from spikeport.formats import nir

        found = nir.write(loaded.graph, path, **options)
    else:
        from spikeport.formats import onnx

        found = onnx.write(loaded.graph, path, **options)
    return (*loaded.findings, *(found or ()))
