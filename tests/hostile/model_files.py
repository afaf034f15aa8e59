"""Files of networks and checkpoints."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import format_mutants
from hostile import mutate
from hostile.originals import Format

LAYOUTS = ("mpd-agl", "ds-atgo")


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
        ours = not any(finding.code in ("SP216", "SP252", "SP259") for finding in model.findings)
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
    """Networks of two layers as MPD-AGL's code saves them and as DS-ATGO's does, and one as torch wrote files once."""

    from authors_code import random_state

    plan = [("fc.0", "fc.1", (4, 6)), ("fc.2", "fc.3", (4, 4))], ("fc.4", (3, 4))
    theirs = {layout: random_state(layout, *plan, 1, biases=True, table=layout == "ds-atgo") for layout in LAYOUTS}
    files = [
        (".pt", {"net": {f"module.{name}": tensor for name, tensor in theirs["mpd-agl"].items()}}, True),
        (".pth", {"net": theirs["ds-atgo"], "best_acc": 97.0}, True),
        (".pt", theirs["mpd-agl"], False),
    ]
    return [(ending, _saved(state, zipped)) for ending, state, zipped in files]


def _saved(state, zipped):
    import torch

    out = io.BytesIO()
    torch.save(state, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def mutated_authors(ending, data, rng):
    """A member of the zip file, or a tensor replaced by another kind of one, or by no tensor."""
    import torch

    if rng.random() < 0.5:
        return mutate.zipped(data, rng)
    content = torch.load(io.BytesIO(data), weights_only=True)
    state = content.get("net", content)
    name = mutate.choose(list(state), rng)
    tensor = state[name]
    wild = [tensor.double(), tensor.half(), tensor.to(torch.complex64), tensor.int(), tensor > 0, tensor.bfloat16()]
    wild += [tensor * torch.nan, tensor * 1e38, -tensor, tensor.flatten(), tensor[None], tensor[..., :0], tensor.sum()]
    wild += [
        tensor.to_sparse(),
        tensor.expand(2**20, *tensor.shape),
        tensor.to("meta"),
        tensor.t_() if tensor.ndim == 2 else 3,
    ]
    wild += [torch.nn.Parameter(tensor.float()), "x", None, {name: tensor}, [tensor]]
    state[name] = wild[int(rng.integers(len(wild)))]
    if rng.random() < 0.2:
        state[mutate.choose([name + "x", "fc.9.layer.weight", "\x1b[2J", "", 7], rng)] = state.pop(name)
    return _saved(content, data[:2] == b"PK")


def read_authors(path):
    from spikeport.verbs.import_checkpoint import import_checkpoint

    layout = LAYOUTS[path.suffix == ".pth"]
    import_checkpoint(path, layout, "mlp", timesteps=3, input_shape=(1, 2, 3), out=path.parent / "a.safetensors")
