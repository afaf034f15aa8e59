"""What a user may name as a model: a checkpoint, a .nir, a .onnx, a shipped model, or ``package:function``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport import datasets, preprocessing
from spikeport.files import sha256
from spikeport.findings import Finding, fail
from spikeport.graph import Array, Coding, Graph, Loihi
from spikeport.nearest import choose
from spikeport.passes.extend import extend
from spikeport.preprocessing import Preprocessing
from spikeport.told import Told

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, repr=False)
class Model(Told):
    """A model as it was found: its graph, and the PyTorch module where there is one."""

    name: str  #: as the user named it
    kind: str  #: checkpoint, module, nir, onnx or graph
    graph: Graph
    module: nn.Module | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    path: Path | None = None

    @property
    def target(self) -> str:
        """The target that runs it unless the user names one."""
        if self.module is not None:
            return "pytorch"
        if self.kind == "onnx":
            return "onnxruntime"
        return "integer" if isinstance(self.graph.arithmetic, Loihi) else "reference"


def load_model(
    model: Model | Graph | Path | str,
    *,
    dt: float | None = None,
    nir: Mapping[str, str] | None = None,
    timesteps: int | None = None,
    frames: bool = False,
) -> Model:
    """Read a model by path, by the name of a shipped one, or as ``package:function`` (which runs that code).

    ``dt`` in seconds and ``nir`` (written_by, reset, rule, …: see `formats.nir.read`) say of another tool's NIR file
    what the file does not; ours say everything. ``timesteps``: how many steps it runs, where it leaves them open;
    ``frames``: its samples have a frame each step.

    Raises SP902 for what is no model, SP113 for a number of steps that it has no thresholds for, and the codes of the
    readers (SP2xx formats, SP3xx checkpoints).
    """
    if timesteps is not None and not isinstance(model, Model | Graph):
        nir = {**(nir or {}), "timesteps": str(timesteps)}
    loaded = _loaded(model, dt, nir or {})
    graph = loaded.graph
    if frames and graph.entry.coding == "direct":
        graph = graph.replace({graph.input: graph.entry.with_(coding="events")})
    if timesteps is not None:
        graph = extend(graph, timesteps)
    return loaded if graph is loaded.graph else replace(loaded, graph=graph)


def as_long_as(model: Model, samples: Array, frames: bool) -> Model:
    """The model for as many steps as its samples have ``frames``, where it leaves their number open."""
    if not frames or model.graph.after_end == "error" or samples.ndim == 0:
        return model
    return replace(model, graph=extend(model.graph, max(1, len(samples))))


def _loaded(model: Model | Graph | Path | str, dt: float | None, nir: Mapping[str, str]) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, Graph):
        return Model("graph", "graph", model)
    path = Path(model)
    readers: dict[str, Callable[[Path], Model]] = {
        ".nir": lambda path: _nir(path, dt, nir),
        ".onnx": _onnx,
        ".safetensors": _checkpoint,
    }
    reader = readers.get(path.suffix.lower())
    if reader is not None:
        if not path.exists():
            fail("SP902", "there is no such file", where=str(model), mend="check the path")
        if path.is_dir():
            fail("SP902", "is a folder", where=str(model), mend="name a file")
        return reader(path)
    if ":" in str(model) and not path.exists():
        return _code(str(model))
    return _shipped(str(model), path)


def _nir(path: Path, dt: float | None, said: Mapping[str, str]) -> Model:
    from spikeport.formats import nir

    options: dict[str, Any] = dict(said)
    if "timesteps" in options:
        options["timesteps"] = whole(options["timesteps"], "timesteps")
    graph, findings = nir.read(path, dt, **options)
    return Model(str(path), "nir", graph, findings=tuple(findings), path=path)


def whole(value: str | int, name: str) -> int:
    """A whole number as a user writes it. Raises SP908 for anything else."""
    try:
        return int(value)
    except ValueError:
        fail("SP908", f"{name} is {value!r}", mend="give a whole number")


def _onnx(path: Path) -> Model:
    from spikeport.formats import onnx

    graph, findings = onnx.read(path)
    return Model(str(path), "onnx", graph, findings=tuple(findings), path=path)


def _checkpoint(path: Path) -> Model:
    from spikeport.training.shipped import load

    module, metadata = load(path)
    return from_module(module, metadata, str(path), path)


@cache
def _code(reference: str) -> Model:
    """``package:function``: the one way to name code, which then runs, once: a second call may draw other weights."""
    from spikeport.tracing.code import named

    code = named(reference)
    runs = Finding("SP909", "its code was imported and called", where=reference, severity="note")
    facts = {"model": reference, "input_shape": code.input_shape}
    return Model(reference, "module", code.graph(), code.module, facts, findings=(runs,))


def _shipped(name: str, path: Path) -> Model:
    from spikeport.training.shipped import load, models

    shipped = models()
    if name not in shipped:
        what = "has no ending that spikeport knows" if path.exists() else "is neither a file nor a shipped model"
        mend = f"name a .safetensors, .nir or .onnx file, package:function, or a shipped model: {choose(name, shipped)}"
        fail("SP902", what, where=name, mend=mend)
    module, metadata = load(name)
    return from_module(module, metadata, name, None)


def from_module(module: nn.Module, metadata: Mapping[str, Any], name: str, path: Path | None) -> Model:
    """Capture a module whose metadata say which input it takes."""
    from spikeport.tracing import capture

    graph = capture(module, tuple(metadata["input_shape"]), verify=False)
    facts = ("model", "dataset", "method", "seed", "versions", "recipe", preprocessing.KEY)
    known = {fact: metadata[fact] for fact in facts if fact in metadata}
    if path is not None:
        known["checkpoint_sha256"] = sha256(path)
    graph = graph.with_(provenance={**graph.provenance, **known})
    return Model(name, "checkpoint", graph, module, metadata, path=path)


@dataclass(frozen=True, repr=False)
class Data(Told):
    """Labelled samples: x [B, *input] (direct) or [T, B, *input] (events), y [B]."""

    name: str
    split: str
    x: Array  #: as they enter the network
    y: Array
    findings: tuple[Finding, ...] = ()  #: what was done to them

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.y)


def load_data(name: str, split: str, graph: Graph, limit: int | None = None) -> Data:
    """The first ``limit`` samples of a split, prepared and in the coding that the graph takes.

    Raises SP36x for unknown data, SP904 for another coding, SP398 where they cannot be prepared as in the training.
    """
    if limit is not None and limit < 1:
        fail("SP903", f"a limit of {limit} samples", mend="ask for at least one")
    return prepared(name, split, graph.timesteps, graph.entry.coding, preprocessing.of(graph.provenance), limit)


def prepared(
    name: str, split: str, timesteps: int, coding: Coding, how: Preprocessing | None, limit: int | None = None
) -> Data:
    """As `load_data`, for a network that is no graph yet."""
    if how is not None and how.unknown:
        how.apply(np.zeros(0), coding, name)
    data = datasets.load(name, split, timesteps=timesteps).take(limit)
    if data.coding != coding:
        fail(
            "SP904",
            f"the data set {name!r} holds {data.coding} samples, the model takes {coding} ones",
            mend="choose the data set that the model was trained on",
        )
    if how is None:
        return Data(name, split, data.x, data.y)
    return Data(name, split, how.apply(data.x, coding, name), data.y, (how.note(),))
