"""Plans of sweeps, folders of sweeps, of runs in parts and of trainings that go on."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from hostile import mutate
from hostile.model_files import small

PLAN = b"""name = "a"
model = "digits-conv"
goals = ["cores"]
seeds = 1
most = 200
[constraints]
cores = "<= 100"
fit = "loihi1, 8 chips"
[fit]
[axes]
"fit.chip" = ["loihi1", "loihi2"]
"""
TRAINS = b"""name = "b"
goals = ["accuracy", "bytes"]
seeds = [0, 1]
[search]
by = "tpe"
trials = 4
[train]
recipe = "digits-conv"
epochs = 1
[export]
[evaluate]
[quantize]
weight_bits = 4
[axes]
"train.timesteps" = { from = 1, to = 6, step = 1 }
"train.lr" = { from = 1e-4, to = 1e-2, points = 3, scale = "log" }
"train.method" = ["ds-atgo", "fixed"]
"train.method_options.f_c" = { values = [0.7, 1.3], when = { "train.method" = "ds-atgo" } }
"""


def plans(folder):
    return [(".toml", PLAN), (".toml", TRAINS)]


def read_plan(path):
    """As far as a sweep goes before anything runs."""
    from spikeport.jobs.axes import evenly, points
    from spikeport.verbs.sweep import opened

    known = opened(path, path.parent / "out")
    if known.plan.search is None:
        known._jobs(evenly(points(known.axes)))


@cache
def _swept() -> dict[str, bytes]:
    """The files of a sweep with two points."""
    from spikeport.verbs.sweep import sweep

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "plan.toml").write_bytes(PLAN)
        sweep(place / "plan.toml", place / "out")
        files = [each for each in (place / "out").rglob("*") if each.is_file() and each.suffix == ".json"]
        return {str(each.relative_to(place / "out")): each.read_bytes() for each in sorted(files)}


def swept(folder):
    files = _swept()
    results = [name for name in files if name.endswith("/result.json")]
    clocks = [name for name in files if name.startswith("clocks/")]
    return [(".sweep.json", files["sweep.json"]), (".result.json", files[results[0]]), (".clock", files[clocks[0]])]


def read_swept(path):
    from spikeport.jobs.store import Store
    from spikeport.verbs.report import report

    files = _swept()
    kind = {".sweep": "sweep.json", ".result": "/result.json"}.get(Path(path.stem).suffix, "clocks/")
    changed = next(name for name in files if (kind in name if kind != "clocks/" else name.startswith(kind)))
    for name, data in files.items():
        place = path.parent / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes() if name == changed else data)
    Store(path.parent).seconds(Path(changed).stem)
    assert "<script>alert" not in report(path.parent).read_text(encoding="utf-8")


def _searching(place):
    """The search of a plan in a folder."""
    from spikeport.jobs import axes, plan
    from spikeport.jobs.search import Searching
    from spikeport.reading import toml_tables
    from spikeport.verbs import stages

    text = (
        TRAINS.decode().replace("trials = 4", "trials = 12") + '[constraints]\nbytes = "<= 95"\n'
    )  # ten are drawn blindly
    known = plan.parse(toml_tables(text), stages.ORDER)
    varied = {name: axis for name, axis in axes.axes_of(known).items() if name != axes.SEED}
    return Searching(known, varied, stages.LARGEST, place)


def _searched(search):
    """Ask a search for its trials, and tell what came of each."""
    from spikeport.jobs.table import Row

    while (number := search.ask()) is not None:
        search.tell(number, Row(number, search.asked[number], "done", {"accuracy": 0.5, "bytes": 100.0 - number}))


@cache
def _trials() -> bytes:
    """The journal of a search of twelve trials, the last of which did not end."""
    with tempfile.TemporaryDirectory() as name:
        _searched(_searching(Path(name)))
        data = (Path(name) / "trials.log").read_bytes()
    return data[: data.rfind(b'{"op_code":6')]


def trials(folder):
    return [(".log", _trials())]


def mutated_trials(ending, data, rng):
    """A line of the journal dropped, doubled or moved, or one of its values replaced."""
    lines = data.splitlines(keepends=True)
    at, to = rng.integers(len(lines), size=2)
    kind = int(rng.integers(6))
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        lines[at] = mutate.json_text(lines[at].replace(b":", b": ").replace(b",", b", "), rng).rstrip() + b"\n"
    return b"".join(lines)


def read_trials(path):
    """Go on with a search to its end."""
    (path.parent / "trials.log").write_bytes(path.read_bytes())
    search = _searching(path.parent)
    _searched(search)
    json.dumps(search.asked, allow_nan=False)


def _x():
    return np.random.default_rng(0).random((3, 1, 8, 8), np.float32)


@cache
def _parts() -> tuple[bytes, bytes, bytes]:
    """The facts of a run in parts, its first part, and its outputs."""
    from spikeport.engine import simulate
    from spikeport.engine.resume import run_in_parts

    with tempfile.TemporaryDirectory() as name:
        record = run_in_parts(simulate, small(), _x(), name, size=2)
        files = [(Path(name) / each).read_bytes() for each in ("run.json", "part-000000.npz")]
        return files[0], files[1], record.outputs.tobytes()


def parts(folder):
    return [(".json", _parts()[0]), (".npz", _parts()[1])]


def mutated_part(ending, data, rng):
    return mutate.json_text(data, rng) if ending == ".json" else mutate.record(data, rng)


def read_parts(path):
    """Go on with a run of which a file was changed."""
    from spikeport.engine import simulate
    from spikeport.engine.resume import run_in_parts

    facts, part, _ = _parts()
    place = path.parent / "run"
    place.mkdir()
    (place / "run.json").write_bytes(path.read_bytes() if path.suffix == ".json" else facts)
    (place / "part-000000.npz").write_bytes(path.read_bytes() if path.suffix == ".npz" else part)
    record = run_in_parts(simulate, small(), _x(), place, size=2, resume=True)
    assert record.samples == 3, "a part of other samples was taken for one of these"
    record.save(path.parent / "whole.npz")


def begun():
    import torch

    from spikeport.training.loop import Training
    from spikeport.training.networks import build
    from spikeport.training.recipe import read
    from spikeport.training.shipped import find

    torch.manual_seed(0)
    options = {"channels": [2], "strides": [2], "hidden": 4}
    recipe = read(find("digits-conv"), {"epochs": 2, "timesteps": 2})
    return Training.begin(build("conv", input_shape=(1, 8, 8), classes=3, timesteps=2, options=options), recipe, 40)


@cache
def training_file() -> bytes:
    """A training after an epoch of one step."""
    import torch

    from spikeport.training import resume
    from spikeport.training.loop import Epoch

    training = begun()
    training.module(torch.ones(2, 1, 8, 8)).sum().backward()
    training.optimiser.step()
    training.schedule.step()
    training.epochs.append(Epoch(1, 0.5, 0.5, 0.5, 1e-3, 1.0))
    training.best, training.best_state = training.epochs[0], training.module.state_dict()
    with tempfile.TemporaryDirectory() as name:
        resume.save(Path(name) / "a", training)
        return (Path(name) / "a").read_bytes()


def trainings(folder):
    return [(".safetensors", training_file())]


def read_training(path):
    """Go on with a training, by a step."""
    import torch

    from spikeport.files import plain
    from spikeport.training import folder, resume

    training = begun()
    resume.restore(path, training)
    training.module(torch.ones(2, 1, 8, 8)).sum().backward()
    training.optimiser.step()
    training.schedule.step()
    assert len(training.epochs) <= training.recipe.epochs
    folder.write_metrics(path.parent, training.epochs)
    json.dumps(plain(training.epochs))
    resume.save(path.parent / "again", training)
