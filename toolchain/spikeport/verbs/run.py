"""``spikeport run``: the main job, end to end. Train or take, export, quantise, simulate, compare, estimate, report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from spikeport.engine.devices import resolve
from spikeport.files import folder, sha256, write_json
from spikeport.findings import Finding, fail
from spikeport.graph import Loihi
from spikeport.mapping import find as find_chip
from spikeport.reporting import gather, write
from spikeport.target import target as find_target
from spikeport.verbs.doctor import machine
from spikeport.verbs.fit import placed
from spikeport.verbs.folders import RECORD
from spikeport.verbs.job import Bar, Job, Subject, no_bar
from spikeport.verbs.load import as_long_as, load_data, load_model
from spikeport.verbs.off_grid import off_grid
from spikeport.verbs.outcome import compared, energy, explained, result_of
from spikeport.verbs.own_files import bring, has_part, is_own, timed
from spikeport.verbs.parameters import (
    Clip,
    DataLike,
    DataName,
    Dt,
    Frames,
    Help,
    Labels,
    Limit,
    ModelLike,
    Nir,
    Timesteps,
)
from spikeport.verbs.plan import TARGET, Plan
from spikeport.verbs.plan import read as read_plan

KEPT = 64  #: samples of a GPU's record, with which machines without one compare
OURS = ("pytorch", "reference", "integer")  #: targets that every whole run takes


def run(
    network: Annotated[
        ModelLike,
        Help(
            "A recipe or plan, by name or TOML file; or a trained network: checkpoint, .nir, .onnx, file.py:function.",
            place=True,
        ),
    ],
    out: Annotated[Path | str, Help("Folder for models, result.json and report.html.")],
    method: Annotated[str | None, Help("ds-atgo, mpd-agl or fixed.")] = None,
    *,
    data: DataName = None,
    labels: Labels = None,
    calibrate: Annotated[DataLike | None, Help("Training data to calibrate on; else those of --data.")] = None,
    limit: Limit = None,
    target: Annotated[
        str | None, Help("Where the integers run besides our engine; lava unless said, `spikeport targets` lists.")
    ] = None,
    target_samples: Annotated[
        int | None,
        Help("Samples for it, 32 unless said; 0 skips it.", flags=("--target-samples", "--lava-samples"), least=0),
    ] = None,
    seconds: Annotated[float | None, Help("Seconds that the target may take.", flags=("--time-limit",))] = None,
    device: Annotated[
        str | None, Help("Which processor trains and runs our engine: cpu unless said, cuda, cuda:1, …, or auto.")
    ] = None,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    clip: Clip = False,
    bar: Bar = no_bar,
) -> dict[str, Any]:
    """The main job, end to end: train or take a trained network, export, quantise, simulate, compare, estimate, report.

    Returns what ``result.json`` holds. ``network`` is a training recipe's name or TOML file, a trained network as
    `load_model` takes it with the ``data`` that judge it, or a TOML file of a whole run (`spikeport.verbs.plan`), of
    which the other arguments replace what they name. ``method``: ds-atgo, mpd-agl or fixed. The integers are calibrated
    on ``calibrate``, or on the training split of ``data``. They also run on ``target``, and are quantised for the
    number format that it asks for; ``target_samples`` = 0 leaves it out, ``seconds`` limits the time that it may take.
    ``clip`` cuts the samples off, for all stages alike, where they lie beyond what the integers were made for.
    Writes model.nir, model.onnx, model.int.nir, result.json and report.html, model.safetensors of a training, and of a
    run on a GPU record.npz: what the network did there on the first 64 samples, every spike.

    Raises SP239 for a network without data, for one in integers, and for a recipe with data; SP240 for a target that
    cannot run here; SP312 for a file that is no recipe; and whatever a stage refuses.

    Examples:

        spikeport run digits --out build/demo

        spikeport run digits --method mpd-agl --target-samples 64 --out build/mpd-agl

        spikeport run my.py:net --data my.npz --target onnxruntime --out build/mine
    """
    asked = {"method": method, "data": data, "labels": labels, "calibrate": calibrate, "limit": limit}
    asked |= {"target": target, "target_samples": target_samples, "time_limit": seconds, "device": device}
    asked |= {"dt": dt, "nir": nir, "timesteps": timesteps, "frames": frames or None, "clip": clip or None}
    plan = read_plan(network, **asked)
    chip = find_chip(plan.chip)
    device, notes = resolve(plan.device)
    job = Job(folder(out), bar, device=device, findings=[*notes])
    simulator = _simulator(job, plan)
    subject = _trained(job, plan) if plan.recipe is not None else _taken(job, plan)
    reread = job.export(subject.model)
    integer = job.quantise(subject, plan, simulator)
    subject = job.clipped(subject, integer) if plan.clip else subject
    job.findings += off_grid(subject.test, integer.graph)
    job.simulate(subject, reread, integer, plan, simulator)
    parities = compared(job, subject, simulator)
    result = result_of(job, subject, parities) | energy(job, integer, subject.test.x, chip)
    result["provenance"] = _provenance(job, network, subject.model.name, asked, plan)
    result |= explained(job, subject, integer)
    with job.stage("fit"):
        result["fit"], placement = placed(integer.graph, chip)
    figures = gather(
        {"integer": (job.records["integer"], job.records["graph"])},
        graph=subject.model.graph,
        integer=integer.graph,
        placement=placement,
        names=("the integers", "the real network"),
    )
    write_json(job.out / "result.json", result)
    write_json(job.out / "figures.json", figures)
    if device != "cpu":  # what a machine without the card compares with
        job.records["graph"].first(KEPT).save(job.out / RECORD)
    write(result, job.out / "report.html", figures)
    return result


def _simulator(job: Job, plan: Plan) -> str | None:
    """The target besides our engine; None where none is wanted, or where the usual one is not here, which is said."""
    name = plan.target or TARGET
    if name in OURS or not plan.target_samples:
        return None
    here = find_target(name).availability()
    if here.ready:
        return name
    if plan.target is not None:
        fail("SP240", f"cannot run here: {here.why}", where=f"target {name!r}", mend=here.mend)
    what = f"the integers ran on our engine only: {here.why}"
    job.findings.append(Finding("SP240", what, where=f"target {name!r}", mend=here.mend, severity="note"))
    return None


def _trained(job: Job, plan: Plan) -> Subject:
    """What a recipe trains, and its data set."""
    from spikeport.verbs.train import train

    assert plan.recipe is not None
    with job.stage("train"):
        # The folder of a run is its own: what an earlier run left there is written over, as everything else in it.
        place, fields = job.out / "train", plan.train
        trained = train(plan.recipe, plan.method, place, device=job.device, overrides=fields, overwrite=True)
    shutil.copyfile(trained.checkpoint, job.out / "model.safetensors")
    with job.stage("capture"):
        model = load_model(job.out / "model.safetensors")
    dataset = str(model.metadata["dataset"])
    return Subject(model, load_data(dataset, "test", model.graph), dataset)


def _taken(job: Job, plan: Plan) -> Subject:
    """A network that was trained elsewhere, with the samples that were brought."""
    brought = None if plan.data is None else bring(plan.data, plan.dt)
    with job.stage("capture"):
        model = load_model(
            plan.trained, dt=plan.dt, nir=plan.nir, timesteps=plan.timesteps, frames=plan.frames, data=brought
        )
    if brought is None:
        brought = model.metadata.get("dataset")
    if brought is None:
        mend = "--data FILE.npz with x and y, a folder, or the name of a data set"
        fail("SP239", "a network needs samples that judge it", where=model.name, mend=mend)
    model = as_long_as(model, brought, plan.frames and plan.timesteps is None)
    if isinstance(model.graph.arithmetic, Loihi):
        mend = "spikeport compare, energy and fit take it as it is; or name the network that it was made from"
        fail("SP239", "is in integers already, and a whole run makes them", where=model.name, mend=mend)
    test = load_data(brought, "test", model.graph, plan.limit, plan.labels)
    job.findings += [*model.findings, *test.findings]
    return Subject(model, test, _calibration(job, plan, brought, Subject(model, test, None)))


def _calibration(job: Job, plan: Plan, brought: Any, subject: Subject) -> Any:
    """The samples that calibrate: a data set by name, which has splits of its own, or those that were brought."""
    graph, test = subject.model.graph, subject.test
    if plan.calibrate is None and isinstance(brought, str | Path) and not is_own(str(brought)):
        return brought
    labels = plan.labels if plan.calibrate is None else None
    seen = load_data(
        timed(plan.data if plan.calibrate is None else plan.calibrate, plan.dt), "train", graph, labels=labels
    )
    whole = load_data(brought, "test", graph) if plan.limit else test
    if seen.x.shape == whole.x.shape and np.array_equal(seen.x, whole.x):
        what = "the samples that judge the integers calibrated them too"
        mend = "--calibrate FILE.npz, or arrays x_train and x_test in one .npz"
        job.findings.append(Finding("SP241", what, where=test.name, mend=mend, severity="note"))
    parted = plan.calibrate is None and plan.labels is None and has_part(plan.data, "val")
    return plan.data if parted else seen


def _provenance(job: Job, network: Any, name: str, asked: dict[str, Any], plan: Plan) -> dict[str, str]:
    """What was asked for, and which files it came of and made."""
    given = {name.replace("_", "-"): value for name, value in asked.items() if value is not None}
    shown = {name: value if isinstance(value, str | int | float | Path) else "…" for name, value in given.items()}
    named = str(network) if isinstance(network, str | Path) else name
    code = plan.trained.partition(":")[0] if isinstance(plan.trained, str) else None
    sources = [named, plan.trained, code, plan.data, plan.labels, plan.calibrate]
    paths = dict.fromkeys(str(source) for source in sources if isinstance(source, str | Path))
    files = [Path(name) for name in paths if Path(name).is_file()]
    files += sorted(job.out.glob("model.*"))
    command = " ".join(["spikeport run", named, *_options(shown, asked["nir"] or {})])
    if not isinstance(network, str | Path):  # from Python
        shown = {each.replace("-", "_"): value for each, value in shown.items()}
        command = f"spikeport.run({', '.join([name, *(f'{each}={value}' for each, value in shown.items())])})"
    return {"command": command} | machine() | {f"sha256 of {path.name}": sha256(path) for path in files}


def _options(shown: dict[str, Any], nir: dict[str, str]) -> list[str]:
    """As they are written on a command line."""
    words = [f"--{name}" if value is True else f"--{name} {value}" for name, value in shown.items() if name != "nir"]
    return [*words, *(f"--nir {key}={word}" for key, word in nir.items())]
