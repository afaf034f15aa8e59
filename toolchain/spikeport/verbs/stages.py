"""The verbs as jobs: what each takes from the one before it, which options it knows, and which figures it gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import torch

from spikeport import datasets
from spikeport.costs import shipped
from spikeport.jobs import File, Job
from spikeport.jobs.job import content
from spikeport.record import NeuronEvents, Record, SynapseEvents
from spikeport.terminal import console
from spikeport.training import checkpoint, files, folder
from spikeport.training.recipe import Recipe
from spikeport.training.shipped import models
from spikeport.verbs.doctor import versions

CHECKPOINT, INTEGERS, EXPORTED = "model.safetensors", "model.int.nir", "model.nir"
#: the verbs of a plan, in the order in which they run
ORDER = ("train", "export", "quantize", "evaluate", "compare", "simulate", "events", "energy", "fit")
#: parameters that are not for a plan: what a job sets itself, and what only a person needs
HIDDEN = {"model", "out", "progress", "report", "resume", "on", "picture", "a", "b", "model_a", "model_b", "stream"}
DATA = ("data", "samples", "labels")  #: options that name a data set or a file
FILES = (*DATA, "chip", "profile")
LARGEST = {"accuracy", "real_accuracy", "val_accuracy", "agreement"}  #: figures of which more is better
VERSIONS = ("spikeport", "torch", "numpy", "numba")


def known(verb: str, option: str) -> list[str] | None:
    """None where a plan may give this option to a verb; else those that it may. ``train`` has its recipe's fields."""
    parameters = list(_parameters(verb)) + (list(Recipe.model_fields) if verb == "train" else [])
    options = [name for name in parameters if name not in HIDDEN | {"go_on", "overwrite", "overrides", "keep_every"}]
    head, dot, _ = option.partition(".")
    nested = verb == "train" and head in ("architecture", "method_options")
    return None if head in options and (not dot or nested) else options


def needed(verb: str) -> list[str]:
    """Options without which a verb does not run."""
    parameters = _parameters(verb).values()
    return [each.name for each in parameters if each.default is Parameter.empty and each.name not in HIDDEN]


def figures(verbs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names of what a plan's verbs give."""
    named = verbs.get("energy", {}).get("models", ())
    energies = [f"energy.{name}" for name, each in shipped().items() if not each.on_request or name in named]
    gives: dict[str, list[str]] = {
        "train": ["real_accuracy", "val_accuracy", "epoch"],
        "export": ["bytes"],
        "quantize": ["calibrated_accuracy"],
        "evaluate": ["accuracy", *(["real_accuracy", "drop"] if "quantize" in verbs else [])],
        "compare": ["spike_mismatches", "agreement"],
        "simulate": ["spikes"],
        "events": ["spikes", "synops"],
        "energy": [*energies, "latency", "firing_rate"],
        "fit": ["cores", "chips"],
    }
    return list(dict.fromkeys(name for verb in ORDER if verb in verbs for name in gives[verb]))


def model_of(name: str) -> File | str:
    """A model by its content: the checkpoint of a shipped one, or a file; code by its name (see `verb`)."""
    path = models().get(name, Path(name))
    return File(path) if path.is_file() else name


def training(recipe: Recipe, device: str) -> Job:
    """The job that trains what a recipe says, with one thread, so that no bit depends on how many there are."""
    fields = recipe.model_dump(exclude={"folder"}, exclude_none=True)
    data = {split: data_hash(recipe.dataset, split, recipe.timesteps) for split in ("train", "val", "test")}
    said = {"data": data, "versions": _versions()}
    return Job(train, {"recipe": fields, "device": device}, said, {"place_of_data": recipe.folder}, "train")


def verb(
    name: str,
    model: Any,
    options: Mapping[str, Any],
    other: Any = None,
    steps: int | None = None,
    code: Mapping[str, Any] | None = None,
) -> Job:
    """The job that runs a verb on a model, a `File` or the `Output` of a job; ``other`` is what it is compared with.

    ``code`` is the content of one that is neither but the name of code, which alone says nothing of its weights.
    """
    given = {key: _by_content(key, value) for key, value in options.items()}
    sets = {key: value for key, value in options.items() if key in DATA and not isinstance(given[key], File)}
    splits = ("train", "val") if name == "quantize" else (options.get("split", "test"),)
    hashes = {key: [data_hash(str(value), split, steps) for split in splits] for key, value in sets.items()}
    also = {} if other is None else {"other": other}
    said = {"data": hashes, "versions": _versions()}
    if isinstance(model, str) or isinstance(other, str):
        said["code"] = code
    return Job(apply, {"verb": name, "model": model, **given, **also}, said, {}, name)


def train(place: Path, recipe: Mapping[str, Any], device: str, place_of_data: str | None) -> dict[str, Any]:
    """The job: train, and keep the best epoch's checkpoint, without the time that it took."""
    from spikeport.verbs.train import train as run

    torch.set_num_threads(1)
    work = place / "work"
    work.mkdir()
    folder.write_recipe(work, Recipe(**recipe, folder=place_of_data))
    with _quiet():
        trained = run(work / files.RECIPE, out=work / "out", device=device, progress=False)
    shutil.rmtree(work)
    facts = {name: value for name, value in trained.metadata.items() if name != "train_seconds"}
    checkpoint.save(place / CHECKPOINT, trained.module, facts)
    return {"real_accuracy": facts["test_accuracy"], "val_accuracy": facts["val_accuracy"], "epoch": facts["epoch"]}


def apply(place: Path, verb: str, model: Any, other: Any = None, **options: Any) -> dict[str, Any]:
    """The job: run a verb, keep what it writes, and tell its figures."""
    run = getattr(import_module(f"spikeport.verbs.{verb}"), verb)
    out = {"quantize": place / INTEGERS, "export": place / EXPORTED, "simulate": place}.get(verb)
    with _quiet():
        result = run(model, *([] if other is None else [other]), **options, **({} if out is None else {"out": out}))
    return TELLS[verb](result)


def _quantised(result: Any) -> dict[str, Any]:
    accuracy = result.report["accuracy"]
    return {"calibrated_accuracy": accuracy.get("fine_tuned", accuracy["integer"])}


def _evaluated(result: Any) -> dict[str, Any]:
    return {"accuracy": result.accuracy, "samples": result.samples, "correct": result.correct}


def _compared(result: Any) -> dict[str, Any]:
    return {"spike_mismatches": result.parity.spike_mismatches, "agreement": result.parity.argmax_agreement}


def _simulated(record: Record) -> dict[str, Any]:
    return {"spikes": sum(int(counts.sum()) for counts in record.spike_counts.values()) / record.samples}


def _counted(result: Any) -> dict[str, Any]:
    events, samples = result.record.events.values(), result.record.samples
    return {
        "spikes": sum(int(each.spikes.sum()) for each in events if isinstance(each, NeuronEvents)) / samples,
        "synops": sum(int(each.synops.sum()) for each in events if isinstance(each, SynapseEvents)) / samples,
    }


def _priced(result: Any) -> dict[str, Any]:
    energies = {f"energy.{name}": each.nominal for name, each in result.estimates.items() if each.network == "snn"}
    latency = None if result.latency is None else result.latency.sample.nominal
    return {**energies, "latency": latency, "firing_rate": result.rate}


def _fitted(result: Any) -> dict[str, Any]:
    best = next(iter(result.bounds.values()))
    return {"cores": best.cores, "chips": getattr(best, "chips", 1), "fits": not best.refused}


TELLS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "quantize": _quantised,
    "export": lambda result: {"bytes": result.path.stat().st_size},
    "evaluate": _evaluated,
    "compare": _compared,
    "simulate": _simulated,
    "events": _counted,
    "energy": _priced,
    "fit": _fitted,
}


@cache
def data_hash(name: str, split: str, steps: int | None) -> dict[str, Any]:
    """The content of a split of a data set."""
    data = datasets.load(name, split, timesteps=steps)
    ends = {} if data.lengths is None else {"lengths": content(data.lengths)}
    return {"x": content(data.x), "y": content(data.y), **ends}


def _by_content(option: str, value: Any) -> Any:
    return File(Path(value)) if option in FILES and isinstance(value, str) and Path(value).is_file() else value


@cache
def _versions() -> dict[str, str]:
    return {name: text for name, text in versions().items() if name in VERSIONS}


@cache
def _parameters(verb: str) -> Mapping[str, Parameter]:
    return signature(getattr(import_module(f"spikeport.verbs.{verb}"), verb)).parameters


@contextmanager
def _quiet() -> Iterator[None]:
    """No lines of a verb's own between those of the sweep."""
    before, console.settings.quiet = console.settings.quiet, True
    try:
        yield
    finally:
        console.settings.quiet = before
