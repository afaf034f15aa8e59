"""Every format that a verb reads: good files of it, how they are damaged, and how a verb reads them to the end."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

import format_mutants
from format_mutants import bytes_mutant
from hostile import mutate

File = tuple[str, bytes]  #: ending and contents


@dataclass(frozen=True)
class Format:
    """One format."""

    originals: Callable[[Path], list[File]]
    mutate: Callable[[str, bytes, np.random.Generator], bytes]
    read: Callable[[Path], object]  #: as the verbs do, in a folder of its own


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


# -- models -----------------------------------------------------------------------------------------------------------


def _graph_file(kind):
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
        if ours and graph.nodes != format_mutants.original().nodes and graph.nodes != _without().nodes:
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
def _without():
    return format_mutants.original(metadata=False)


def _checkpoints(folder):
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


def _read_checkpoint(path):
    from spikeport.verbs.load import load_model

    load_model(path)


def _authors(folder):
    import torch

    state = {"fc1.layer.weight": torch.zeros(4, 6), "fc1.layer.bias": torch.zeros(4), "epoch": torch.tensor(3)}
    torch.save({"net": {f"module.{name}": tensor for name, tensor in state.items()}}, folder / "a.pt")
    return [(".pt", (folder / "a.pt").read_bytes())]


def _read_authors(path):
    from spikeport.verbs.import_checkpoint import import_checkpoint

    import_checkpoint(path, "mpd-agl", "mlp", timesteps=2)


# -- samples and records ----------------------------------------------------------------------------------------------


def _saved(write, *arrays, **named):
    out = io.BytesIO()
    write(out, *arrays, **named)
    return out.getvalue()


def _samples(folder):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    return [(".npy", _saved(np.save, x)), (".npy", _saved(np.save, x.astype(np.float64)))]


def _sample_sets(folder):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    return [(".npz", _saved(np.savez, x=x, y=np.arange(3))), (".npz", _saved(np.savez_compressed, x=x))]


def _read_samples(path):
    from spikeport.engine import simulate
    from spikeport.verbs.load import load_data

    simulate(small(), load_data(path, "test", small()).x)


def _records(folder):
    from spikeport.engine import simulate
    from spikeport.target import Request

    x = np.random.default_rng(0).random((2, 1, 8, 8), np.float32)
    record = simulate(small(), x, Request(trains=True, membranes=True, events=True))
    record.save(folder / "r.npz")
    return [(".npz", (folder / "r.npz").read_bytes())]


def _read_record(path):
    from spikeport.record import Record, join
    from spikeport.verbs.folders import contents
    from spikeport.verbs.sides import side

    record = Record.load(path)
    join([record.first(1), record.first(1)])
    record.rates()
    record.accuracy(np.zeros(record.samples, np.int64))
    side(str(path))
    from spikeport.verbs.compare import compare

    compare(str(path), str(path))
    shutil.copy(path, path.parent / "record.npz")
    contents(path.parent)


# -- results and settings ---------------------------------------------------------------------------------------------


def _results(folder):
    parity = {"against": "graph", "samples": 5, "argmax_agreement": 1.0, "spike_mismatches": 2, "spikes_compared": 30}
    parity |= {"by_layer": {"lif": [1, 1]}, "neurons": {"lif": 3}, "mismatches_above_rounding": 0}
    energy = {"low": 1e-9, "nominal": 2e-9, "high": 3e-9, "source": "a table", "title": "t"}
    layer = {"neurons": 3, "cores": 1, "binding": "neurons", "utilisation": {"neurons": 0.5}}
    cause = {"title": "weights rounded", "mismatches": 2, "share": 1.0, "explained": 0.5, "accuracy": None}
    cause["advice"] = "train on"
    result = {"model": "m", "dataset": "d", "timesteps": 2, "samples": {"graph": 5, "integer": 5}, "device": "cpu"}
    result |= {
        "accuracy": {"graph": 0.8, "integer": 0.6},
        "parity": {"integer": parity},
        "thresholds": {"lif": [1.0, 2]},
    }
    result |= {"firing_rate": {"lif": [0.1, 0.2]}, "energy_joule_per_sample": {"a": energy, "a-ann": energy}}
    result |= {"causes": {"integer": [{**cause, "accuracy": -0.1}]}, "seconds": {"run": 1.5}}
    result |= {"fit": {"bounds": {"shared": {"sentence": "fits", "layers": {"lif": layer}}}, "notes": []}}
    result |= {"findings": [{"code": "SP216", "what": "w", "where": "x", "why": "", "mend": "", "severity": "note"}]}
    result |= {"latency": {"sentence": "s"}, "samples_per_second": {"integer": 3.0}, "versions": {"numpy": "2"}}
    raster = {"sample": 0, "neuron": [0], "a": [0, 1], "b": [1, 0], "threshold": [1.0, None]}
    drawing = '<svg class="plot" viewBox="0 0 9 9" role="img" aria-label="x"><path class="both" d="M0 0h1"/></svg>'
    figures = {"rasters": {"integer": {"lif": [raster]}}, "spikes": {"plots": {"lif": drawing}, "caption": "c"}}
    figures |= {"mantissas": {"lif": {"mantissa": [1.0, 2.0], "threshold": [0.5, None]}}, "cores": drawing}
    histogram = {"counts": [1, 2], "edges": [-1, 0, 1], "exponent": 0, "zero": 0.5, "least": -1, "most": 1}
    figures |= {"histograms": {"fc": histogram}, "graph": drawing}
    first = {"layer": "lif", "t": 0, "sample": 0, "neuron": [0], "a_fires": True, "b_fires": False}
    compared = {"a": "x", "b": "y", **parity, "firing_rate": {"a": {"lif": [0.1, 0.2]}}, "first_divergence": first}
    compared |= {"causes": [cause], "accuracy": {"a": {"value": 0.5}, "b": {"value": 0.25}}, "findings": []}
    epoch = {"epoch": 1, "loss": 0.5, "train_accuracy": 0.5, "val_accuracy": 0.25, "seconds": 2.0}
    folders = [
        {"result.json": result, "figures.json": figures},
        {"comparison.json": compared},
        {"metrics.json": [epoch]},
    ]
    return [(".json", json.dumps(each).encode()) for each in folders]


def _read_results(path):
    """The file holds those of a folder by name; what is no such file is taken for each of them."""
    from spikeport.verbs.report import report

    try:
        parts = json.loads(path.read_bytes())
        texts = {str(name): json.dumps(value) for name, value in parts.items()}
    except (ValueError, AttributeError, RecursionError):
        texts = dict.fromkeys(("result.json", "figures.json"), path.read_bytes().decode("utf-8", "surrogateescape"))
    for name in ("result.json", "figures.json", "comparison.json", "metrics.json"):
        if name in texts:
            (path.parent / name).write_bytes(texts[name].encode("utf-8", "surrogateescape"))
    page = report(path.parent).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<svg onload" not in page


KINDS = ("plan", "recipe", "profile", "model", "chip")


def _settings(folder):
    def shipped(package, place, name):
        return (files(package) / place / name).read_bytes()

    plan = b'trained = "model.nir"\ndata = "x.npy"\nlimit = 3\ntimesteps = 2\nchip = "loihi1"\n'
    plan += b"[quantize]\nweight_bits = 4\n"
    texts = {"plan": plan, "recipe": shipped("spikeport_models.recipes", "", "digits-conv.toml")}
    texts["profile"] = shipped("spikeport.quantisation", "profiles", "loihi2.toml")
    texts["model"] = shipped("spikeport.costs", "models", sorted(_names("spikeport.costs", "models"))[0])
    texts["chip"] = shipped("spikeport.mapping", "chips", sorted(_names("spikeport.mapping", "chips"))[0])
    return [(f".{kind}.toml", text) for kind, text in texts.items()]


def _names(package, place):
    return [each.name for each in (files(package) / place).iterdir() if each.name.endswith(".toml")]


def _read_settings(path):
    from spikeport.costs import model
    from spikeport.mapping import chip
    from spikeport.quantisation.profiles import load_profile
    from spikeport.training import recipe
    from spikeport.verbs import plan

    kind = path.name.split(".")[-2]
    readers = {
        "plan": plan.read,
        "recipe": recipe.read,
        "profile": load_profile,
        "model": model.find,
        "chip": chip.find,
    }
    readers[kind](path)


# -- data sets --------------------------------------------------------------------------------------------------------


def _idx(folder):
    images = np.random.default_rng(0).integers(0, 255, (20, 28, 28), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    heads = (
        b"\0\0\x08\x03" + np.asarray(images.shape, ">u4").tobytes(),
        b"\0\0\x08\x01" + np.asarray([20], ">u4").tobytes(),
    )
    files = zip((".images", ".labels"), heads, (images, labels), strict=True)
    return [(ending, gzip.compress(head + array.tobytes(), 1, mtime=0)) for ending, head, array in files]


def _read_idx(path):
    from spikeport_models.datasets.idx import FILES, fashion

    whole = dict(_idx(path.parent))
    for split in ("train", "test"):
        for name, ending in zip(FILES[split], (".images", ".labels"), strict=True):
            (path.parent / name).write_bytes(path.read_bytes() if path.suffix == ending else whole[ending])
    fashion("test", path.parent)


def _nmnist(folder):
    from data_files import nmnist_bytes

    rng = np.random.default_rng(0)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            t = np.sort(rng.integers(0, 3000, 8))
            xy = rng.integers(0, 34, (2, 8))
            name = f"{'Train' if number < 20 else 'Test'}/{number % 2}/{number}.bin"
            archive.writestr(name, nmnist_bytes(t, *xy, rng.integers(0, 2, 8)))
    return [(".zip", out.getvalue())]


def _read_nmnist(path):
    from spikeport_models.datasets.nmnist import nmnist

    os.environ["SPIKEPORT_CACHE"] = str(path.parent / "cache")
    nmnist("test", path, 2)
    nmnist("val", path, 2)


def _cifar(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 3072), dtype=np.uint8)
    raw = pickle.dumps({b"data": pixels, b"labels": [0, 1, 2, 3]}, protocol=2)
    raw = raw.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    return [(".tar.gz", gzip.compress(out.getvalue(), 1, mtime=0))]


def _read_cifar(path):
    from spikeport_models.datasets.cifar import cifar10

    cifar10("test", path)


def _events(folder):
    from data_files import nmnist_bytes

    rng = np.random.default_rng(0)
    t, x, y, p = np.arange(0, 500, 10), *rng.integers(0, 8, (2, 50)), rng.integers(0, 2, 50)
    table = np.stack([t, x, y, p], 1)
    records = np.zeros(50, [("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("p", "i1")])
    for name, column in zip("txyp", (t, x, y, p), strict=True):
        records[name] = column
    lines = "\n".join(["t,x,y,p", *(",".join(map(str, row)) for row in table)]).encode()
    texts = [(".npy", _saved(np.save, table)), (".npz", _saved(np.savez, t=t, x=x, y=y, p=p)), (".csv", lines)]
    return [*texts, (".npy", _saved(np.save, records)), (".bin", nmnist_bytes(t, x, y, p)), (".txt", lines[8:])]


def _mutated_events(ending, data, rng):
    kinds = {".npy": mutate.npy, ".npz": mutate.npz, ".csv": mutate.csv, ".txt": mutate.csv, ".bin": bytes_mutant}
    return kinds[ending](data, rng)


def _read_events(path):
    from spikeport import datasets

    datasets.recordings(path, 2, (34, 34))
    place = path.parent / "set" / "train" / "a"
    place.mkdir(parents=True)
    (place.parent.parent / "test" / "a").mkdir(parents=True)
    shutil.copy(path, place.parent.parent / "test" / "a")
    os.environ["SPIKEPORT_CACHE"] = str(path.parent / "cache")
    datasets.load(f"events:{path.parent / 'set'}", "test", timesteps=2)


def _aedat(folder):
    from data_files import aedat4

    events = [(10 * n, n % 8, n % 5, n % 2) for n in range(20)]
    return [(".aedat4", aedat4([events]))]


def _observed(folder):
    from spikeport.formats.nir import data

    values = np.random.default_rng(0).random((3, 2, 4)).astype(np.float32)
    data.save(folder / "d.nir", {"input": {"spikes": values}}, 1e-3)
    return [(".h5", (folder / "d.nir").read_bytes())]


def _read_observed(path):
    from spikeport.formats.nir import data

    data.load(path, 1e-3)


def _plain(function):
    return lambda ending, data, rng: function(data, rng)


FORMATS: dict[str, Format] = {
    "nir": _graph_file("nir"),
    "onnx": _graph_file("onnx"),
    "safetensors": Format(_checkpoints, _plain(mutate.safetensors), _read_checkpoint),
    "pt": Format(_authors, _plain(mutate.zipped), _read_authors),
    "npy": Format(_samples, _plain(mutate.npy), _read_samples),
    "npz": Format(_sample_sets, _plain(mutate.npz), _read_samples),
    "record": Format(_records, _plain(mutate.record), _read_record),
    "json": Format(_results, _plain(mutate.json_text), _read_results),
    "toml": Format(_settings, _plain(mutate.toml_text), _read_settings),
    "idx": Format(_idx, _plain(mutate.idx), _read_idx),
    "zip": Format(_nmnist, _plain(mutate.zipped), _read_nmnist),
    "tar": Format(_cifar, _plain(mutate.tar), _read_cifar),
    "events": Format(_events, _mutated_events, _read_events),
}
#: read in a child of their own, half a second each: by command alone
SLOW = {
    "aedat4": Format(_aedat, _plain(bytes_mutant), _read_events),
    "nirdata": Format(_observed, lambda ending, data, rng: FORMATS["nir"].mutate(ending, data, rng), _read_observed),
}


def mutant(name: str, originals: list[File], seed: int) -> File:
    """Mutant number ``seed``: every second one is changed in its bytes, the others in their structure."""
    rng = np.random.default_rng([seed, sum(name.encode())])
    ending, data = originals[seed // 2 % len(originals)]
    if seed % 2:
        return ending, bytes_mutant(data, rng)
    try:
        return ending, ({**FORMATS, **SLOW})[name].mutate(ending, data, rng)
    except Exception:  # what cannot be changed so
        return ending, bytes_mutant(data, rng)
