"""Runs in parts and trainings that were interrupted under 0.1; `write_0_1` calls this."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file
from spikeport.train import resume as training

import spikeport
from old_files import facts, users_0_1
from spikeport.engine import resume
from spikeport.record import Record

CHANGES = {
    "ds-atgo": {"epochs": 3, "batch": 160, "warmup": 0.2, "seed": 7},
    "masked": {"epochs": 3, "batch": 160, "optimiser": "adam", "lr": 0.01},
}  #: of the recipe of the checkpoint of the same name


def runs(write_facts):
    """Runs in parts of two samples that were interrupted after four, and what 0.1 made of them when it went on."""
    with mock.patch.object(resume, "PART", 2):
        for out, verb in (("parts/simulate", run_in_parts), ("parts/evaluate", count_in_parts)):
            try:
                verb(out, progress=stop_after_four)
            except KeyboardInterrupt:
                assert len(list(Path(out).glob("parts-integer/part-*.npz"))) == 2
            shutil.copytree(out, "copy")
            write_facts(out, facts_in_parts(verb("copy", resume=True)))
            shutil.rmtree("copy")


def run_in_parts(out, **options):
    """All eight samples, with everything that a record can hold."""
    return spikeport.simulate("formats/eight-bits.nir", "inputs/digits.npy", "integer", out, membranes=True, **options)


def count_in_parts(out, **options):
    """Six samples of the test split."""
    return spikeport.evaluate("formats/eight-bits.nir", "digits", limit=6, out=out, **options)


def stop_after_four(done, total):
    """A user's Ctrl-C while the third part is computed."""
    if done > 4:
        raise KeyboardInterrupt


def facts_in_parts(ended):
    """Of a record or of an evaluation."""
    if not isinstance(ended, Record):
        return {"correct": ended.correct}
    return {"run": facts.of_record(ended), "events": facts.of_events(ended), "membranes": facts.of_membranes(ended)}


def trainings(write_facts, checkpoints):
    """Trainings of three epochs that were interrupted after two, and what 0.1 made of them when it went on."""
    for name, fields in CHANGES.items():
        place = Path("trainings") / name
        Path("recipe.toml").write_text(
            users_0_1.recipe({"model": f"old-{name}", **users_0_1.PLAIN, **checkpoints[name], **fields}),
            encoding="utf-8",
        )
        with mock.patch.object(training, "save", save_and_stop_after_two):
            try:
                spikeport.train("recipe.toml", out=place)
            except KeyboardInterrupt:
                (place / "curves.png").unlink()
        shutil.copytree(place, "copy")
        ended = spikeport.train("copy/recipe.toml", out="copy", go_on=True)
        straight = spikeport.train("recipe.toml", out="straight")
        same_tensors("copy/last.safetensors", "straight/last.safetensors")
        same_tensors("copy/resume.safetensors", "straight/resume.safetensors")
        assert straight.metadata["test_accuracy"] == ended.metadata["test_accuracy"]
        shutil.copyfile("copy/last.safetensors", f"trainings/{name}-continued.safetensors")
        write_facts(
            place, {"epochs": [without_seconds(epoch) for epoch in ended.epochs], "best": ended.metadata["epoch"]}
        )
        shutil.rmtree("copy")
        shutil.rmtree("straight")
    Path("recipe.toml").unlink()


def save_and_stop_after_two(path, state, save=training.save):
    """A user's Ctrl-C behind the second epoch."""
    save(path, state)
    if len(state.epochs) == 2:
        raise KeyboardInterrupt


def without_seconds(epoch):
    """What an epoch did, not how long it took."""
    return {name: entry for name, entry in epoch.as_dict().items() if name != "seconds"}


def same_tensors(a, b):
    """0.1's own promise: it goes on bit for bit."""
    left, right = load_file(a), load_file(b)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left), a
