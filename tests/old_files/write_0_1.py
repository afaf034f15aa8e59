"""Writes the files in ``files_0_1`` and the facts beside them. It ran once, with the code of 0.1 (commit 025b2b7).

In a checkout of that commit, with this folder put into its ``tests``::

    OMP_NUM_THREADS=1 PYTHONPATH=tests .venv/bin/python tests/old_files/write_0_1.py

The tests read what it wrote; nobody runs it again, for a later version would write other files. Paths inside the files
are relative to ``files_0_1``. The only file that 0.1 wrote and that is left out is a training's ``curves.png``, which
nothing reads.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from spikeport.api.load import load_data, load_model

import spikeport
import spikeport_models
from old_files import facts, interrupted_0_1, users_0_1
from old_files.graphs_0_1 import GRAPHS
from spikeport.graph import LIF
from spikeport.record import Record

NEAR = 1e-4  #: thresholds may move so far without a spike changing: a hundred times what float32 rounds

CHECKPOINTS = {
    "fixed": {"method": "fixed", "architecture": {"hidden": [12], "neuron": "lif", "reset": "subtract"}},
    "fixed-trained-threshold": {
        "method": "fixed",
        "architecture": {"hidden": [12], "neuron": "if", "train_threshold": True},
        "optimiser": "adamw",
        "lr": 0.02,
        "mpd_sgr": 0.1,
    },
    "mpd-agl": {
        "method": "mpd-agl",
        "network": "conv",
        "architecture": {"channels": [3, 4], "strides": [1, 2], "pool": 2, "hidden": 12},
    },
    "ds-atgo": {
        "method": "ds-atgo",
        "network": "conv",
        "timesteps": 3,
        "architecture": {"channels": [3, 4], "strides": [1, 2], "kernels": [5, 3], "hidden": 12},
        "loss": "tet",
        "label_smoothing": 0.1,
        "shift": 1,
        "weight_bits": 8,
    },
    "ds-atgo-channels": {
        "method": "ds-atgo",
        "method_options": {"per_channel": True, "f_c": 1.2},
        "architecture": {"hidden": [12, 10]},
        "weight_bits": 4,
    },
    "lsg": {"method": "lsg", "architecture": {"hidden": [12], "neuron": "lif"}},
    "psg": {"method": "psg", "architecture": {"hidden": [12]}, "warmup": 0.1},
    "masked": {"method": "masked", "architecture": {"hidden": [12]}, "timesteps": 4},
}


def write_facts(name, plain):
    """The facts beside a file."""
    Path(f"{name}.json").write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def checkpoints():
    """A training of seconds for each method; the best network is the file."""
    for name, fields in CHECKPOINTS.items():
        Path("recipe.toml").write_text(
            users_0_1.recipe({"model": f"old-{name}", **users_0_1.PLAIN, **fields}), encoding="utf-8"
        )
        spikeport.train("recipe.toml", out="train", overwrite=True)
        shutil.copyfile("train/best.safetensors", f"checkpoints/{name}.safetensors")
    Path("recipe.toml").unlink()
    shutil.rmtree("train")


def steady(graph, x, near=NEAR):
    """Which samples fire the same spikes with every threshold a little lower and a little higher: no one is near."""
    runs = [moved(graph, x, by) for by in (-near, 0.0, near)]
    same = np.ones(runs[1].samples, bool)
    for name, train in runs[1].trains.items():
        for other in (runs[0], runs[2]):
            parts = (train.unpack() != other.trains[name].unpack()).swapaxes(0, 1)
            same &= ~parts.reshape(len(same), -1).any(1)
    return same


def moved(graph, x, by):
    """A run with all thresholds moved."""
    nodes = {name: node.with_(threshold=node.threshold + by) for name, node in graph.nodes_of(LIF).items()}
    nodes = {
        name: node.with_(threshold=node.threshold.astype(graph[name].threshold.dtype)) for name, node in nodes.items()
    }
    return spikeport.simulate(graph.replace(nodes), x, "reference")


def digits():
    """Eight test samples that are steady in every checkpoint, so that rounding cannot change a spike."""
    models = [load_model(path).graph for path in sorted(Path("checkpoints").glob("*.safetensors"))]
    x = load_data("digits", "test", models[0]).x
    chosen = np.flatnonzero(np.all([steady(graph, x) for graph in models], axis=0))[:8]
    assert len(chosen) == 8
    np.save("inputs/digits.npy", x[chosen])
    return x[chosen]


def assert_steady(path, x):
    """Neither a spike of these samples nor the number of right answers in the test split hangs on rounding."""
    graph = load_model(path).graph
    test = load_data("digits", "test", graph)
    assert steady(graph, x).all()
    assert len({moved(graph, test.x, by).accuracy(test.y) for by in (-1e-6, 0.0, 1e-6)}) == 1


def checkpoint_facts(x):
    """What each trained network answers, and its tables as the file has them."""
    for path in sorted(Path("checkpoints").glob("*.safetensors")):
        model = load_model(path)
        assert_steady(path, x)
        metadata = spikeport_models.load(path)[1]
        write_facts(
            path.with_suffix(""),
            {
                "run": facts.of_record(spikeport.simulate(model, x)),
                "correct": spikeport.evaluate(str(path), "digits").correct,
                "thresholds": {name: node.threshold.tolist() for name, node in model.graph.nodes_of(LIF).items()},
                "metadata": {name: entry for name, entry in metadata.items() if name != "train_seconds"},
            },
        )


def formats(x):
    """Graphs by hand and trained ones, real and integer, as NIR and as ONNX."""
    for name, make in GRAPHS.items():
        graph, samples = make()
        np.save(f"inputs/{name}.npy", samples)
        assert name == "whole" or steady(graph, samples, 1e-9).all()
        written(name, graph, samples, "nir", "onnx")
    graph, samples = GRAPHS["image"]()
    written("image-step", graph, samples, "onnx", time="step")
    written("image-unrolled", graph, samples, "onnx", time="unroll")
    written("image-approx", graph, samples, "nir", thresholds="approx")
    written("ds-atgo", load_model("checkpoints/ds-atgo.safetensors").graph, x, "nir", "onnx")
    for name, source, options in (
        ("eight-bits", "ds-atgo", {}),
        ("mixed-bits", "ds-atgo-channels", {"weight_bits": {"dense1.synapse": 3, "dense2.synapse": 5, "classify": 8}}),
        ("own-profile", "fixed", {"profile": "users/profile.toml", "weight_bits": 6}),
    ):
        made = spikeport.quantize(f"checkpoints/{source}.safetensors", data="digits", calibration=64, **options)
        written(name, made.graph, x, *("nir", "onnx")[: 1 if name == "mixed-bits" else 2])


def written(name, graph, x, *kinds, **options):
    """The files of one graph, and what the graph is and does."""
    for kind in kinds:
        spikeport.export(graph, f"formats/{name}.{kind}", **options)
        assert load_model(f"formats/{name}.{kind}").graph == graph
    write_facts(
        f"formats/{name}",
        {
            "graph": facts.of_graph(graph),
            "files": [f"{name}.{kind}" for kind in kinds],
            "input": name.partition("-")[0] if name.partition("-")[0] in GRAPHS else "digits",
            "run": facts.of_record(spikeport.simulate(graph, x)),
        },
    )


def records():
    """Runs with everything that a record can hold."""
    sides = {
        "real": ("checkpoints/ds-atgo-channels.safetensors", "reference"),
        "integer": ("formats/mixed-bits.nir", "integer"),
    }
    for name, (model, target) in sides.items():
        record = spikeport.simulate(model, "inputs/digits.npy", target, "run", membranes=True)
        shutil.move("run/record.npz", f"records/{name}.npz")
        write_facts(
            f"records/{name}",
            {
                "run": facts.of_record(record),
                "events": facts.of_events(record),
                "membranes": facts.of_membranes(record),
                "origin": dict(record.origin),
                "findings": [finding.as_dict() for finding in record.findings],
            },
        )
        assert facts.of_record(Record.load(f"records/{name}.npz")) == facts.of_record(record)
    shutil.rmtree("run")
    compared = spikeport.compare("records/integer.npz", "records/real.npz")
    write_facts("records/compared", compared.parity.as_dict("real"))


def pack():
    """Gzip the NIR files, each byte of which the test gets back: most of HDF5 is free space."""
    for path in Path("formats").glob("*.nir"):
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()


def main():
    """Everything, from nothing."""
    torch.set_num_threads(1)
    shutil.rmtree(facts.FILES, ignore_errors=True)
    for folder in ("checkpoints", "formats", "inputs", "parts", "records", "trainings", "users"):
        (facts.FILES / folder).mkdir(parents=True)
    os.chdir(facts.FILES)
    users_0_1.write_inputs()
    checkpoints()
    x = digits()
    checkpoint_facts(x)
    formats(x)
    records()
    interrupted_0_1.runs(write_facts)
    interrupted_0_1.trainings(write_facts, CHECKPOINTS)
    users_0_1.write_facts_of_users(write_facts, x, assert_steady)
    pack()


if __name__ == "__main__":
    main()
