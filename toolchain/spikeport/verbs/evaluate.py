"""``spikeport evaluate``: the accuracy of a model on a data set, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated

from spikeport.comparison.intervals import wilson
from spikeport.files import folder
from spikeport.findings import Finding, require
from spikeport.target import Request, silent
from spikeport.told import Told
from spikeport.verbs.clip import clipped
from spikeport.verbs.execute import execute, execute_in_parts
from spikeport.verbs.load import load_data, load_model
from spikeport.verbs.own_files import timed
from spikeport.verbs.parameters import (
    Batch,
    Clip,
    DataLike,
    Device,
    Dt,
    Frames,
    Help,
    Labels,
    Limit,
    Memory,
    ModelLike,
    Nir,
    On,
    Progress,
    Resume,
    Seconds,
    Split,
    TargetName,
    Timesteps,
)
from spikeport.verbs.shards import execute_on


@dataclass(frozen=True, repr=False)
class Evaluation(Told):
    """What ``spikeport evaluate --json`` prints."""

    model: str
    target: str
    dataset: str
    split: str
    samples: int
    correct: int
    accuracy: float  #: share, 0 ... 1
    interval: tuple[float, float]  #: Wilson's 95 % interval of the accuracy
    seconds: float  #: wall-clock time of the run alone
    findings: tuple[Finding, ...] = ()  #: what was done to the samples, and what the target had to say


def evaluate(
    model: ModelLike,
    data: Annotated[DataLike, Help("Name of a data set, a .npz, .npy or NIRData file, or a folder.")],
    split: Split = "test",
    target: TargetName = None,
    limit: Limit = None,
    *,
    labels: Labels = None,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    clip: Clip = False,
    out: Annotated[Path | str | None, Help("Folder that keeps the finished parts of a long run.")] = None,
    resume: Resume = False,
    device: Device = "cpu",
    on: On = "here",
    batch: Batch = None,
    memory: Memory = None,
    seconds: Seconds = None,
    progress: Progress = silent,
) -> Evaluation:
    """The accuracy of a model on a data set, with its 95 % interval.

    In Python: ``clip`` cuts input off where it lies beyond what integers were made for. ``batch`` samples run at once,
    or as many as take ``memory`` bytes. ``on`` shares the samples out, see `execute_on`.

    Raises SP511 for a folder with parts without ``resume``, and what loading and running raise.

    Examples:

        spikeport evaluate digits-conv --data digits --split test

        spikeport evaluate model.int.nir --data digits --target lava --limit 32 --json

        spikeport evaluate model.int.nir --data digits --target lava --on processes:2
    """
    data = timed(data, dt)
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames, data=data)
    samples = load_data(data, split, loaded.graph, limit, labels)
    samples = clipped(samples, loaded.graph) if clip else samples
    answers = samples.labels  # asked for before anything runs
    outputs = prod(loaded.graph.shapes[loaded.graph.output])
    mend = "bring a network with an output for each class, two for a yes or no"
    require(outputs > 1, "SP247", "an accuracy compares outputs, and the network has one", where=loaded.name, mend=mend)
    request = Request(device=device, batch=batch, memory=memory, seconds=seconds, progress=progress)
    if on != "here":
        record = execute_on(on, loaded, target, samples.given, request, out)
    elif out is None:
        record = execute(loaded, target, samples.given, request)
    else:
        record = execute_in_parts(loaded, target, samples.given, request, folder(out), resume)
    correct = round(record.accuracy(answers) * samples.samples)
    return Evaluation(
        model=loaded.name,
        target=target or loaded.target,
        dataset=samples.name,
        split=samples.split,
        samples=samples.samples,
        correct=correct,
        accuracy=correct / samples.samples,
        interval=wilson(correct, samples.samples),
        seconds=record.seconds,
        findings=(*samples.findings, *record.findings),
    )
