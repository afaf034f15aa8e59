"""``spikeport export``: write a model as .nir or .onnx, thresholds and all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from spikeport import preprocessing
from spikeport.files import output
from spikeport.findings import Finding, fail
from spikeport.formats.choices import Thresholds, Time
from spikeport.graph import Array, Graph
from spikeport.record import Record
from spikeport.target import Request
from spikeport.told import Told
from spikeport.verbs.load import load_data, load_model
from spikeport.verbs.own_files import timed
from spikeport.verbs.parameters import DataLike, Dt, Frames, Help, ModelLike, Nir, Timesteps

CALIBRATION = 256  #: samples of the training split on which the cost of `thresholds="approx"` is measured


@dataclass(frozen=True, repr=False)
class Exported(Told):
    """The file that was written."""

    path: Path
    findings: tuple[Finding, ...]  #: what a reader with another tool should know


def export(
    model: ModelLike,
    out: Annotated[Path | str, Help("model.nir or model.onnx.")],
    *,
    thresholds: Annotated[Thresholds, Help("NIR schedules: guard (exact), or approx.")] = "guard",
    data: Annotated[DataLike | None, Help("What approx measures its cost on, and a module is captured for.")] = None,
    time: Annotated[Time, Help("ONNX: scan (any T if schedules allow), unroll, step.")] = "scan",
    inline: Annotated[bool, Help("ONNX: for readers without functions.")] = False,
    portable: Annotated[bool, Help("ONNX: standard operators that most tools know.")] = False,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
) -> Exported:
    """Write a model as NIR or ONNX, thresholds of every timestep included.

    Returns the path, and what the writer had to say. Raises SP906 for an ending that is neither, SP206 for a word that
    is none of the choices.

    Examples:

        spikeport export build/demo/model.safetensors --out model.nir

        spikeport export digits-conv --thresholds approx --data digits --out approximate.nir
    """
    path = output(out, ".nir", ".onnx")
    _refuse_idle(
        path, {"thresholds": thresholds != "guard"}, {"time": time != "scan", "inline": inline, "portable": portable}
    )
    data = timed(data, dt)
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames, data=data)
    if path.suffix.lower() == ".nir":
        from spikeport.formats import nir as format_nir

        seen = None if data is None else load_data(data, "train", loaded.graph, CALIBRATION)
        x, lengths = (None, None) if seen is None else (seen.x, seen.lengths)
        findings = format_nir.write(loaded.graph, path, thresholds, calibration=x, run=partial(_run, lengths=lengths))
    else:
        from spikeport.formats import onnx

        findings = onnx.write(loaded.graph, path, time, inline, portable)
    how = preprocessing.of(loaded.graph.provenance)
    return Exported(path, (*loaded.findings, *findings, *([] if how is None else [how.note()])))


def _refuse_idle(path: Path, nir: dict[str, bool], onnx: dict[str, bool]) -> None:
    """Raises SP206 for an option that was set and that the format which is written does not have."""
    kind, own, other = ("NIR", nir, onnx) if path.suffix.lower() == ".nir" else ("ONNX", onnx, nir)
    idle = [name for name, is_set in other.items() if is_set]
    if idle:
        mend = f"leave it out; {kind} has {', '.join(own)}"
        fail("SP206", f"{', '.join(idle)} is nothing that {kind} files have", where=str(path), mend=mend)


def _run(graph: Graph, samples: Array, lengths: Array | None) -> Record:
    from spikeport.engine import simulate  # torch, which nothing else here needs
    from spikeport.engine.lengths import to_ends

    return to_ends(simulate, lengths)(graph, samples, Request(trains=True))
