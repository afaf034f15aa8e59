"""``spikeport probe``: what a training did to its neurons, a layer, a timestep and an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from torch import nn

from spikeport.engine.devices import resolve
from spikeport.files import output
from spikeport.findings import Finding, fail
from spikeport.reporting import activity as drawing
from spikeport.reporting.plots import Picture
from spikeport.target import silent
from spikeport.told import Told
from spikeport.training import files, folder
from spikeport.training.catalogue import Done
from spikeport.training.neurons import Neuron
from spikeport.training.probe import Activity, activity
from spikeport.training.shipped import load
from spikeport.verbs.load import Data, Model, load_data, load_model
from spikeport.verbs.own_files import timed
from spikeport.verbs.parameters import DataLike, Device, Help, Progress, Split

Place = str | Path
NOW = -1  #: beside the numbers of epochs, the checkpoint that was asked for


@dataclass(frozen=True, repr=False)
class Probed(Told):
    """One training: every spiking layer of its network, and of the epochs that it kept."""

    model: str
    method: str
    layers: Map[str, Activity]
    epochs: Map[int, Map[str, Activity]]  #: by number, where the folder of the training holds them


@dataclass(frozen=True, repr=False)
class Probe(Told):
    """What ``spikeport probe --json`` prints: shares, thresholds and widths, [T] a layer."""

    dataset: str
    split: str
    samples: int
    batch: int  #: samples at once: a width that follows the spread of membranes follows it in each batch
    runs: tuple[Probed, ...]  #: the one asked for, and the one it is held against
    path: Path | None = None  #: where the picture was written
    findings: tuple[Finding, ...] = ()

    @property
    def layers(self) -> Map[str, Activity]:
        """Of the training asked for."""
        return self.runs[0].layers

    @property
    def epochs(self) -> Map[int, Map[str, Activity]]:
        """Of the training asked for."""
        return self.runs[0].epochs

    def picture(self) -> Picture:
        """All of it drawn; a notebook shows it."""
        head = f"{self.samples} samples of {self.dataset} ({self.split})"
        return drawing.picture({run.model: (run.layers, run.epochs) for run in self.runs}, head)


def probe(
    checkpoint: Annotated[
        Place,
        Help("Checkpoint, name of a shipped model, or the folder of a training.", metavar="CHECKPOINT", place=True),
    ],
    data: Annotated[DataLike | None, Help("Data set, .npz or .npy file, or a folder; its own unless said.")] = None,
    split: Split = "test",
    limit: Annotated[int, Help("The first N samples.", least=1)] = 500,
    *,
    against: Annotated[Place | None, Help("A second training, to hold it against.")] = None,
    out: Annotated[Path | str | None, Help("A picture, .png or .svg.")] = None,
    batch: Annotated[int | None, Help("Samples at once; the recipe's batch unless said.", least=2)] = None,
    dt: Annotated[float | None, Help("Seconds a step, for NIRData's events.")] = None,
    device: Device = "cpu",
    progress: Progress = silent,
) -> Probe:
    """How often neurons fire and receive a gradient, with which thresholds and widths: a layer and timestep.

    A membrane is inside where it lies less than half a surrogate width from its threshold: of the rectangular
    surrogate the share that has any gradient, which DS-ATGO calls gradient-available. Neurons are probed as they
    infer: running statistics in the normalisation, thresholds of the table. A width that follows the spread of
    membranes is no part of a checkpoint; it follows the samples, batch by batch.

    Of the folder of a training its best checkpoint is probed, and every epoch that ``spikeport train --keep-every``
    left there.

    Raises SP370 for a network whose surrogate nobody knows, SP906 for another ending, and what loading raises.

    Examples:

        spikeport probe digits-conv --out build/probe.png

        spikeport probe build/short --against build/agl --data digits --split val --json
    """
    place = None if out is None else output(out, ".png", ".svg")
    on, notes = resolve(device)
    sides = [_side(each, timed(data, dt), split, limit) for each in (checkpoint, against) if each is not None]
    whole, before, runs = sum(side.samples.samples * (1 + len(side.epochs)) for side in sides), 0, []
    size = batch or int(sides[0].model.metadata.get("recipe", {}).get("batch", 100))
    for side in sides:
        x, lengths = torch.from_numpy(side.samples.x), side.samples.lengths
        ends = None if lengths is None else torch.from_numpy(lengths)
        layers: dict[int, Map[str, Activity]] = {}
        for number, module in side.modules():
            tell = partial(_further, progress, before, whole)
            layers[number] = activity(module.to(on), x, side.model.graph.entry.coding, size, tell, ends)
            before += side.samples.samples
        runs.append(Probed(side.name, str(side.model.metadata["method"]), layers.pop(NOW), layers))
    read = dict.fromkeys(finding for side in sides for finding in side.findings)
    samples = sides[0].samples
    result = Probe(samples.name, samples.split, samples.samples, size, tuple(runs), findings=(*notes, *read))
    return result if place is None else replace(result, path=result.picture().save(place))


def _further(progress: Progress, before: int, whole: int, done: int) -> None:
    progress(before + done, whole)


@dataclass(frozen=True)
class _Side:
    name: str
    model: Model
    epochs: tuple[Path, ...]  #: checkpoints, in order
    samples: Data

    def modules(self) -> Iterator[tuple[int, nn.Module]]:
        """The network itself as `NOW`, then that of each epoch by its number."""
        assert self.model.module is not None
        yield NOW, self.model.module
        for path in self.epochs:
            yield int(path.stem), load(path)[0]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is said of its files."""
        none = Finding(
            "SP371",
            "holds no epochs: its best checkpoint alone is probed",
            where=self.name,
            mend="train with --keep-every 1",
            severity="note",
        )
        kept = self.epochs or not Path(self.name).is_dir()
        return (*(() if kept else (none,)), *self.model.findings, *self.samples.findings)


def _side(named: Place, data: DataLike | None, split: str, limit: int) -> _Side:
    path = Path(named)
    epochs = folder.kept_epochs(path) if path.is_dir() else ()
    model = load_model(str(path / files.BEST) if path.is_dir() else named)
    neurons = [] if model.module is None else [part for part in model.module.modules() if isinstance(part, Neuron)]
    if not neurons or "method" not in model.metadata:
        what = "is no network with neurons of spikeport.training, and says nothing of a surrogate"
        fail("SP370", what, where=str(named), mend="name a checkpoint of spikeport train or import-checkpoint")
    if any(isinstance(neuron.method, Done) for neuron in neurons):
        what = f"was trained by {model.metadata['method']!r}, which is not known here, nor are its surrogate's widths"
        fail("SP370", what, where=str(named), mend="bring the method: --plugin FILE.py")
    chosen = model.metadata["dataset"] if data is None else data
    if chosen is None:
        fail("SP370", "does not say which data it was trained on", where=str(named), mend="name some: --data DATA")
    return _Side(str(named), model, epochs, load_data(chosen, split, model.graph, limit))
