"""Files of networks and checkpoints."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import format_mutants
from hostile.originals import Format


def small():
    """A network for 8x8 frames, with a train and a membrane to record."""
    from spikeport.graph import LIF, Flatten, Graph, Input, Linear, Readout

    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((1, 8, 8)),
        "flatten": Flatten(),
        "fc": Linear(rng.normal(size=(6, 64)).astype(np.float32)),
        "lif": LIF((6,), np.float32(0.5), np.ones(3, np.float32)),
        "out": Readout((6,), np.full(3, 0.25, np.float32)),
    }
    return Graph.chain(nodes, 3)


def graph_file(kind):
    def read(path):
        from spikeport.engine import simulate
        from spikeport.target import Request
        from spikeport.verbs.load import load_model

        model = load_model(path)
        graph = model.graph
        if sum(int(np.prod(shape)) for shape in graph.shapes.values()) * graph.timesteps < 10**5:
            shape = graph.entry.shape if graph.entry.coding == "direct" else (graph.timesteps, 1, *graph.entry.shape)
            x = np.zeros(shape if graph.entry.coding == "events" else (1, *shape), np.float32)
            simulate(graph, x, Request(trains=True))
        ours = not any(finding.code in ("SP216", "SP252") for finding in model.findings)
        if ours and graph.nodes != format_mutants.original().nodes and graph.nodes != without().nodes:
            raise AssertionError("a changed file of ours was read as another network, and nothing says so")

    def originals(folder):
        return [(f".{kind}", data) for data in format_mutants.originals(kind, folder)]

    def mutated(ending, data, rng):
        if kind == "onnx":
            return format_mutants.onnx_mutant(data, rng)
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "m.nir"
            path.write_bytes(data)
            try:
                format_mutants.nir_mutant(path, rng)
            except (OSError, RuntimeError, ValueError, KeyError, TypeError):
                return data[: len(data) // 2]
            return path.read_bytes()

    return Format(originals, mutated, read)


@cache
def without():
    return format_mutants.original(metadata=False)


def checkpoints(folder):
    import torch

    from spikeport.training import checkpoint
    from spikeport.training.networks import build

    torch.manual_seed(0)
    shape, options = (1, 8, 8), {"channels": [2], "strides": [2], "hidden": 4}
    module = build("conv", input_shape=shape, classes=3, timesteps=2, options=options)
    facts = {"model": "m", "architecture": {"network": "conv", **options}, "method": "fixed", "method_options": {}}
    facts |= {"timesteps": 2, "dataset": "digits", "input_shape": list(shape), "coding": "direct", "classes": 3}
    checkpoint.save(folder / "a.safetensors", module, {**facts, "seed": 1, "recipe": {"network": "conv"}})
    return [(".safetensors", (folder / "a.safetensors").read_bytes())]


def read_checkpoint(path):
    from spikeport.verbs.load import load_model

    load_model(path)


def authors(folder):
    import torch

    state = {"fc1.layer.weight": torch.zeros(4, 6), "fc1.layer.bias": torch.zeros(4), "epoch": torch.tensor(3)}
    torch.save({"net": {f"module.{name}": tensor for name, tensor in state.items()}}, folder / "a.pt")
    return [(".pt", (folder / "a.pt").read_bytes())]


def read_authors(path):
    from spikeport.verbs.import_checkpoint import import_checkpoint

    import_checkpoint(path, "mpd-agl", "mlp", timesteps=2)
