"""What a user may name as a model: a module, a checkpoint, a graph's file, a shipped model, ``package:function``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport import datasets, preprocessing
from spikeport.files import sha256
from spikeport.findings import Finding, fail, require
from spikeport.graph import Array, Coding, Graph, Loihi, Real, Samples
from spikeport.passes.extend import extend
from spikeport.preprocessing import Preprocessing
from spikeport.told import Told
from spikeport.verbs import own_files
from spikeport.verbs.graph_files import GRAPHS
from spikeport.verbs.layout import laid_out
from spikeport.verbs.no_model import no_model
from spikeport.verbs.off_grid import off_grid
from spikeport.verbs.own_data import Brought, gather
from spikeport.verbs.own_files import is_own

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, repr=False)
class Model(Told):
    """A model as it was found: its graph, and the PyTorch module where there is one."""

    name: str  #: as the user named it
    kind: str  #: checkpoint, module, nir, onnx, net or graph
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
    model: Any,
    *,
    dt: float | None = None,
    nir: Mapping[str, str] | None = None,
    timesteps: int | None = None,
    frames: bool = False,
    data: Any = None,
) -> Model:
    """Read a model by path, by the name of a shipped one, or as ``file.py:function`` (which runs that code).

    A module is captured on the spot: one that has an ``input_shape``, a tuple ``(module, input_shape)`` or
    ``(module, input_shape, options of capture)``, or any one with ``data`` whose samples it takes.

    ``dt`` in seconds and ``nir`` (written_by, reset, rule, …: see `formats.nir.read`) say of another tool's NIR file
    what the file does not; ours say everything. ``timesteps``: how many steps it runs, where it leaves them open;
    ``frames``: its samples have a frame each step.

    Raises SP902 for what is no model, SP113 for a number of steps that it has no thresholds for, and the codes of the
    readers (SP2xx formats, SP3xx checkpoints).
    """
    given = [*(["dt"] if dt is not None else []), *(nir or {})]
    if timesteps is not None and not isinstance(model, Model | Graph):
        nir = {**(nir or {}), "timesteps": str(timesteps)}
    loaded = _loaded(model, dt, nir or {}, data, frames)
    if given and (loaded.kind != "nir" or loaded is model):
        from spikeport.formats.nir import idle

        loaded = replace(loaded, findings=(*loaded.findings, idle(given, loaded.name)))
    loaded = dt_was_for(data, loaded)
    graph = loaded.graph
    if frames and graph.entry.coding == "direct":
        graph = graph.replace({graph.input: graph.entry.with_(coding="events")})
    if timesteps is not None:
        graph = extend(graph, timesteps)
    return loaded if graph is loaded.graph else replace(loaded, graph=graph)


def dt_was_for(observed: Any, model: Model) -> Model:
    """A model without the note that ``dt`` changes nothing, where it says how long a step of NIRData's events is."""
    if not any(finding.code == "SP226" for finding in getattr(observed, "findings", ())):
        return model
    from spikeport.formats.nir import idle

    return replace(model, findings=tuple(note for note in model.findings if note != idle(["dt"], model.name)))


def as_long_as(model: Model, samples: Brought | Path | str, frames: bool) -> Model:
    """The model for as many steps as its samples have ``frames``, where it leaves their number open."""
    if not frames or model.graph.after_end == "error" or not isinstance(samples, Brought):
        return model
    return replace(model, graph=extend(model.graph, samples.steps))


def _loaded(model: Any, dt: float | None, nir: Mapping[str, str], data: Any, frames: bool) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, Graph):
        return Model("graph", "graph", model)
    from spikeport.verbs import own_model

    if not isinstance(model, str | Path):
        return own_model.of_module(model, data, nir.get("timesteps"), frames)
    path = Path(model)
    ending = path.suffix.lower()
    if ending in (*GRAPHS, ".safetensors"):
        if not path.exists():
            fail("SP902", "there is no such file", where=str(model), mend="check the path")
        if path.is_dir():
            fail("SP902", "is a folder", where=str(model), mend="name a file")
        if ending == ".safetensors":
            return _checkpoint(path)
        graph, findings = GRAPHS[ending](path, dt, nir)
        return Model(str(path), ending[1:], graph, findings=findings, path=path)
    if ":" in str(model) and not path.exists():
        return own_model.of_code(str(model), data, nir.get("timesteps"), frames)
    return _shipped(str(model), path)


def _checkpoint(path: Path) -> Model:
    from spikeport.training.shipped import load

    module, metadata = load(path)
    return from_module(module, metadata, str(path), path)


def _shipped(name: str, path: Path) -> Model:
    from spikeport.training.shipped import load, models

    shipped = models()
    if name not in shipped:
        no_model(name, path, shipped)
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
    """Samples as a graph takes them: x [B, *input] (direct) or [T, B, *input] (events), y [B] where it is known."""

    name: str
    split: str
    x: Array  #: as they enter the network
    y: Array | None
    findings: tuple[Finding, ...] = ()  #: what was done to them
    axis: int = 0  #: of ``x``, that counts samples
    lengths: Array | None = None  #: [B], where not all have all steps

    @property
    def samples(self) -> int:
        """How many there are."""
        return int(self.x.shape[self.axis]) if self.y is None else len(self.y)

    @property
    def given(self) -> Array | Samples:
        """As a run takes them: with their lengths where they have some."""
        return self.x if self.lengths is None else Samples(self.x, "events", lengths=self.lengths)

    def whole(self, who: str) -> Array:
        """The samples for those that run all steps of each. Raises SP246 where some end earlier."""
        if self.lengths is not None:
            what, mend = (
                f"{who} takes samples of one length",
                "bring samples that all have as many steps as the network",
            )
            fail("SP246", what, where=self.name, mend=mend)
        return self.x

    @property
    def labels(self) -> Array:
        """Class numbers [B]. Raises SP236 where nobody said them."""
        if self.y is None:
            mend = "give them: --labels FILE.npy, an array y in the .npz, or a pair (x, y)"
            fail("SP236", "an accuracy needs labels, and these samples have none", where=self.name, mend=mend)
        return self.y


def load_data(data: Any, split: str, graph: Graph, limit: int | None = None, labels: Any = None) -> Data:
    """The first ``limit`` samples of anything that holds some, laid out and prepared as the graph takes them.

    ``data``: the name of a data set; an array, tensor or list; a pair (x, y); a torch ``Dataset`` or ``DataLoader``; a
    ``.npy`` or ``.npz`` file (samples ``x``, labels ``y``, or ``x_test`` and so on), a folder of ``.npy`` files or of
    images, a recording of events. ``labels`` are class numbers [B], or the .npy file that holds them.

    Raises SP36x for unknown data, SP904 for another coding, SP398 where they cannot be prepared as in the training,
    SP230-SP236 for what is no data or may be read in several ways, SP502 for another shape or a value too large, SP121
    for no sample.
    """
    if limit is not None and limit < 1:
        fail("SP903", f"a limit of {limit} samples", mend="ask for at least one")
    if isinstance(data, Data):
        return data
    how, coding = preprocessing.of(graph.provenance), graph.entry.coding
    if isinstance(data, str | Path) and not is_own(str(data)):
        if labels is not None:
            fail("SP236", "a data set has labels of its own", where=str(data), mend="leave --labels out")
        return _seen(prepared(str(data), split, graph.timesteps, coding, how, limit), graph)
    brought = own_files.recording(data, graph) or gather(data, split, limit)
    if labels is not None:
        given = own_files.read_array(Path(labels)) if isinstance(labels, str | Path) else labels
        brought = brought.labelled(given, "labels")
    x, read = laid_out(brought, graph)
    samples = Samples(x, coding)
    if brought.lengths is not None:
        samples = samples.ending(brought.lengths, brought.name)
    _fits(x, samples.number, graph, brought.name)
    if brought.y is not None and len(brought.y) != samples.number:
        what = f"{samples.number} samples have {len(brought.y)} labels"
        fail("SP232", what, where=brought.name, mend="give one label a sample")
    y = None if brought.y is None else brought.y[:limit]
    samples = samples.first(limit)
    notes = (*brought.findings, *read, *(() if how is None else (how.note(),)))
    return _seen(Data(brought.name, brought.split, samples.array, y, notes, samples.axis, samples.lengths), graph)


def _seen(data: Data, graph: Graph) -> Data:
    """With what integers will do to the samples, and which labels no answer can be."""
    return replace(data, findings=(*data.findings, *_unanswered(data, graph), *off_grid(data, graph)))


def _unanswered(data: Data, graph: Graph) -> tuple[Finding, ...]:
    """SP232 of labels beyond a network's outputs."""
    outputs = math.prod(graph.shapes[graph.output])
    if data.y is None or outputs < 2 or not (beyond := int((data.y >= outputs).sum())):
        return ()
    what = f"{beyond:,} of {len(data.y):,} labels lie beyond the network's {outputs} outputs, up to {data.y.max()}: "
    what += f"its answers are 0 ... {outputs - 1}"
    mend = "number the classes from 0, as in the training"
    return (Finding("SP232", what, where=data.name, mend=mend, severity="note"),)


def _fits(x: Array, number: int, graph: Graph, name: str) -> None:
    """Raises SP121 for no sample, and SP502 for a value beyond the type in which the network computes."""
    require(number > 0, "SP121", "holds no sample", where=name, mend="bring at least one")
    if isinstance(graph.arithmetic, Real) and x.dtype.kind == "f":
        largest = float(np.abs(x).max(initial=0.0))
        if largest > float(np.finfo(graph.arithmetic.dtype).max):
            what = f"holds {largest:.3g}, which {graph.arithmetic.dtype} cannot"
            fail("SP502", what, where=name, mend="scale the samples as in the training")


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
    x = data.x if how is None else how.apply(data.x, coding, name)
    notes = () if how is None else (how.note(),)
    return Data(name, split, x, data.y, notes, data.samples.axis, data.lengths)
