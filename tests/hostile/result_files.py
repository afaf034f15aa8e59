"""Records, results and settings."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files

import numpy as np

from hostile.model_files import small


def records(folder):
    from spikeport.engine import simulate
    from spikeport.target import Request

    x = np.random.default_rng(0).random((2, 1, 8, 8), np.float32)
    record = simulate(small(), x, Request(trains=True, membranes=True, events=True))
    record.save(folder / "r.npz")
    return [(".npz", (folder / "r.npz").read_bytes())]


def read_record(path):
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


def results(folder):
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


def read_results(path):
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


def settings(folder):
    def shipped(package, place, name):
        return (files(package) / place / name).read_bytes()

    plan = b'trained = "model.nir"\ndata = "x.npy"\nlimit = 3\ntimesteps = 2\nchip = "loihi1"\n'
    plan += b"[quantize]\nweight_bits = 4\n"
    texts = {"plan": plan, "recipe": shipped("spikeport_models.recipes", "", "digits-conv.toml")}
    texts["profile"] = shipped("spikeport.quantisation", "profiles", "loihi2.toml")
    texts["model"] = shipped("spikeport.costs", "models", sorted(names("spikeport.costs", "models"))[0])
    texts["chip"] = shipped("spikeport.mapping", "chips", sorted(names("spikeport.mapping", "chips"))[0])
    return [(f".{kind}.toml", text) for kind, text in texts.items()]


def names(package, place):
    return [each.name for each in (files(package) / place).iterdir() if each.name.endswith(".toml")]


def read_settings(path):
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
