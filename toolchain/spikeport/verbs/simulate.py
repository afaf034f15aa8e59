"""``spikeport simulate``: run a model on an input file and keep the record."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from spikeport.files import folder, output
from spikeport.findings import Finding, fail
from spikeport.graph import LIF, Graph
from spikeport.record import Record
from spikeport.target import Request, silent
from spikeport.verbs.clip import clipped
from spikeport.verbs.execute import execute, execute_in_parts, part
from spikeport.verbs.load import Model, as_long_as, load_data, load_model
from spikeport.verbs.origin import origin
from spikeport.verbs.own_files import bring, needed
from spikeport.verbs.parameters import (
    Batch,
    Clip,
    DataLike,
    Device,
    Dt,
    Frames,
    Help,
    Limit,
    Memory,
    ModelLike,
    Nir,
    On,
    Progress,
    Resume,
    SamplesToo,
    Seconds,
    TargetName,
    Timesteps,
)
from spikeport.verbs.shards import SHARDS, execute_on
from spikeport.verbs.streaming import streamed

LAYERS = "Of this layer only. May be repeated."


def simulate(
    model: ModelLike,
    data: Annotated[
        DataLike | None, Help("A .npy file: [B, ...], or [T, B, ...] with --frames; .npz, NIRData, folder, data set.")
    ] = None,
    target: TargetName = None,
    out: Annotated[Path | str | None, Help("Folder for record.npz, or NIRData: spikes.nir.", needed=True)] = None,
    *,
    samples: SamplesToo = None,
    limit: Limit = None,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    clip: Clip = False,
    trains: Annotated[bool | Sequence[str], Help("Keep spike trains.", layers=LAYERS)] = True,
    membranes: Annotated[bool | Sequence[str], Help("Keep membranes after the reset.", layers=LAYERS)] = False,
    events: Annotated[bool, Help("Count events, for spikeport energy.")] = True,
    resume: Resume = False,
    device: Device = "cpu",
    on: On = "here",
    batch: Batch = None,
    memory: Memory = None,
    seconds: Seconds = None,
    progress: Progress = silent,
    stream: Annotated[bool, Help("Frames without end: .npy arrays from a pipe (-) to one.")] = False,
) -> Record:
    """Run a model on an input file and keep outputs, spike counts, and every spike and event count unless told not to.

    In Python: returns the record, and writes ``out/record.npz`` where ``out`` is given, or NIRData where that ends in
    .nir (`Record.save`). ``data`` (``samples`` in 0.1): NIRData (events in steps of ``dt``), or whatever `load_data`
    takes, [B, ...] for direct coding or, with ``frames``, [T, B, ...]. ``dt`` and ``nir`` are for files of other tools,
    see `load_model`; where such a file leaves the steps open, ``timesteps`` or the frames set it. ``clip`` cuts input
    off where it lies beyond what integers were made for. A run of more than about a minute, or 1024 samples, keeps its
    finished parts in ``out``; ``resume`` goes on after them.

    In Python: ``trains`` and ``membranes`` (after the reset) are of all layers, of none, or of the layers named; spike
    trains and event counts that are left out are named in the record (SP516). ``batch`` samples run at once, or as many
    as take ``memory`` bytes; neither changes a bit of integers. ``on`` shares the samples out, see `execute_on`.

    With ``stream`` frames come as .npy arrays [steps, *input], one behind the other, from a file or a pipe (``-``), and
    outputs [steps, B, *output] go out in the same form, block by block; memory does not grow, and the last thing said
    is how many spikes there were. In Python ``data`` may be an iterator of arrays, and the record holds sums over
    time; `spikeport.engine.stream` gives the blocks themselves.

    Raises SP707 without ``data``, SP907 for a file that is no array, SP502 for one of the wrong shape, SP511 for parts
    without ``resume``, SP515 for layers that there are not.

    Examples:

        spikeport simulate model.int.nir --data digits.npy --target lava --out build/lava

        spikeport simulate model.int.nir --data many.npy --no-trains --no-events --memory 1GB --out build/many

        spikeport simulate other.nir --data frames.npy --frames --dt 0.001 --out build/other

        camera | spikeport simulate model.int.nir --stream --data - --out - | motor
    """
    given = needed(data, samples)
    if stream:
        if membranes or resume or on != "here" or limit is not None:
            what = "a stream keeps neither membranes nor parts, and has no number of samples"
            mend = "leave --membranes, --resume, --on and --limit out"
            fail("SP544", what, mend=mend)
        model = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=True)
        return streamed(model, given, target, out, Request(device=device), progress, clip)
    brought = bring(given, dt, limit=limit)
    written = None if out is None or Path(out).suffix.lower() != ".nir" else output(out, ".nir")
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames, data=brought)
    loaded = as_long_as(loaded, brought, frames and timesteps is None)
    entering = load_data(brought, "test", loaded.graph, limit)
    entering = clipped(entering, loaded.graph) if clip else entering
    array = entering.given
    request = Request(
        trains=trains if isinstance(trains, bool) else tuple(trains),
        membranes=membranes if isinstance(membranes, bool) else tuple(membranes),
        events=events,
        device=device,
        batch=batch,
        seconds=seconds,
        memory=memory,
        progress=progress,
    )
    remembers = origin(loaded, array, given, dt)
    if frames or dt or nir or timesteps:  # what the file alone would be is another network
        remembers = {name: value for name, value in remembers.items() if not name.startswith("model")}
    notes = (*entering.findings, *_left_out(loaded.graph, request))
    if on != "here":
        record = execute_on(on, loaded, target, array, request, None if written else out)
    elif out is not None and written is None and (resume or entering.samples > part(loaded, target)):
        record = execute_in_parts(loaded, target, array, request, folder(out), resume)
    else:
        record = execute(loaded, target, array, request)
    told = (*record.findings, *notes, *_without_membranes(loaded.graph, request, record), *_silent(loaded, record))
    record = replace(record, origin={**record.origin, **remembers}, findings=told)
    if out is None:
        return record
    if written is not None:
        record.save(written, dt or loaded.graph.provenance.get("dt", 1e-4))
        return record
    place = folder(out)
    record.save(place / "record.npz")
    for parts in (*place.glob("parts-*"), *place.glob(SHARDS)):
        shutil.rmtree(parts)
    return record


def _silent(model: Model, record: Record) -> Iterator[Finding]:
    """That nothing fired in a file whose reader had to choose: the choices may be wrong."""
    if model.findings and record.neurons and not any(counts.any() for counts in record.spike_counts.values()):
        yield Finding(
            "SP223",
            "no neuron fired once in this run",
            where=model.name,
            why="the file was read with choices that its writer may not have meant; the findings name them.",
            mend="--dt, or --nir written_by=TOOL, if the network is not meant to be silent here"
            if model.kind == "nir"
            else "look at the samples: their values, and the axis of time",
            severity="note",
        )


def _without_membranes(graph: Graph, request: Request, record: Record) -> Iterator[Finding]:
    """SP517 where membranes were asked for of what shows none."""
    lacks = [name for name in graph.nodes_of(LIF) if request.keeps_membrane(name) and name not in record.membranes]
    if lacks:
        what = f"{record.target} shows no membranes, as were asked for, of {', '.join(lacks)}"
        yield Finding("SP517", what, mend="--target reference shows those of the graph", severity="note")


def _left_out(graph: Graph, request: Request) -> Iterator[Finding]:
    """What a record would hold and this one does not, because it was asked to."""
    layers = [name for name in graph.nodes_of(LIF) if not request.keeps_train(name)]
    parts = [f"the spike trains of {', '.join(layers)}"] * bool(layers) + ["the event counts"] * (not request.events)
    if parts:
        yield Finding(
            "SP516",
            f"left out as asked: {' and '.join(parts)}",
            severity="note",
            why="such a record cannot be compared or priced there.",
        )
