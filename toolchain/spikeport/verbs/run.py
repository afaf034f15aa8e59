"""``spikeport run``: the main job, end to end. Train, export, quantise, simulate, compare, estimate, report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from spikeport.comparison import Parity, Side, causes, first_divergence, parity, with_moments
from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.files import folder, plain, sha256, write_json
from spikeport.findings import Finding
from spikeport.graph import LIF, Array, Graph, Real, Samples
from spikeport.mapping import Chip
from spikeport.mapping import find as find_chip
from spikeport.quantisation import prepare
from spikeport.record import Record
from spikeport.reporting import gather, write
from spikeport.target import Progress as Callback
from spikeport.target import Request, silent
from spikeport.verbs.doctor import machine, versions
from spikeport.verbs.energy import mapped, price
from spikeport.verbs.events import tally
from spikeport.verbs.execute import execute
from spikeport.verbs.fit import placed
from spikeport.verbs.load import Data, Model, load_data, load_model
from spikeport.verbs.parameters import Help
from spikeport.verbs.plan import Plan
from spikeport.verbs.plan import read as read_plan

Bar = Callable[[str], AbstractContextManager[Callback]]

WHY_SAMPLES = 256  #: causes are looked for on so many samples: a dozen runs of them


def no_bar(title: str) -> AbstractContextManager[Callback]:
    """The progress bar that shows nothing."""
    return nullcontext(silent)


@dataclass
class Job:
    """One run on its way: what is known so far, and how long each stage took."""

    out: Path
    bar: Bar
    seconds: dict[str, float] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callback]:
        """Time a stage and show its progress."""
        begun = time.perf_counter()
        with self.bar(name) as progress:
            yield progress
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begun, 3)

    def run(self, name: str, model: Model, target: str, x: Array, **wishes: Any) -> Record:
        """Run a model and keep its record, with all spike trains."""
        with self.stage(name) as progress:
            record = execute(model, target, x, Request(trains=True, progress=progress, **wishes))
        self.records[name] = record
        self.findings += record.findings
        return record


def run(
    recipe: Annotated[
        str, Help("Name of a training recipe, or a TOML file: of a training, or of a whole run.", place=True)
    ],
    out: Annotated[Path | str, Help("Folder for models, result.json and report.html.")],
    method: Annotated[str | None, Help("ds-atgo, mpd-agl or fixed.")] = None,
    *,
    lava_samples: Annotated[int | None, Help("Samples for Lava, 32 unless said; 0 skips it.", least=0)] = None,
    seconds: Annotated[float | None, Help("Seconds that Lava may take.", flags=("--time-limit",))] = None,
    bar: Bar = no_bar,
) -> dict[str, Any]:
    """The main job, end to end: train, export, quantise, simulate, compare, estimate, report.

    Returns what ``result.json`` holds. ``recipe`` is a training recipe's name or TOML file, or a TOML file of a whole
    run (`spikeport.verbs.plan`), of which the other arguments replace what they name. ``method``: ds-atgo, mpd-agl or
    fixed. ``lava_samples`` = 0 leaves Lava out; ``seconds`` limits the time that Lava may take. Writes
    model.safetensors, model.nir, model.onnx, model.int.nir, result.json and report.html. Raises SP312 for a file that
    is no recipe, and whatever a stage refuses.

    Examples:

        spikeport run digits --out build/demo

        spikeport run digits --method mpd-agl --lava-samples 64 --out build/mpd-agl
    """
    plan = read_plan(recipe)
    chip = find_chip(plan.chip)
    job = Job(folder(out), bar)
    trained = _train(job, plan, method)
    dataset = str(trained.metadata["dataset"])
    test = load_data(dataset, "test", trained.graph)
    reread = _export(job, trained)
    integer = _quantise(job, trained, dataset, plan)
    lava_samples = plan.lava_samples if lava_samples is None else lava_samples
    _simulate(job, trained, reread, integer, test, lava_samples, plan.time_limit if seconds is None else seconds)
    parities = _compare(job, trained, test)
    result = _result(job, trained, test, parities) | _energy(job, integer, test.x, chip)
    result["provenance"] = _provenance(job, recipe, method)
    result |= _explain(job, trained, integer, test)
    with job.stage("fit"):
        result["fit"], placement = placed(integer.graph, chip)
    figures = gather(
        {"integer": (job.records["integer"], job.records["graph"])},
        graph=trained.graph,
        integer=integer.graph,
        placement=placement,
    )
    write_json(job.out / "result.json", result)
    write_json(job.out / "figures.json", figures)
    write(result, job.out / "report.html", figures)
    return result


def _train(job: Job, plan: Plan, method: str | None) -> Model:
    from spikeport.verbs.train import train

    with job.stage("train"):
        # The folder of a run is its own: what an earlier run left there is written over, as everything else in it.
        trained = train(
            plan.recipe, method=method or plan.method, out=job.out / "train", overrides=plan.train, overwrite=True
        )
    shutil.copyfile(trained.checkpoint, job.out / "model.safetensors")
    with job.stage("capture"):
        return load_model(job.out / "model.safetensors")


def _export(job: Job, trained: Model) -> dict[str, Model]:
    from spikeport.verbs.export import export

    files = {name: job.out / f"model.{name}" for name in ("nir", "onnx")}
    with job.stage("export"):
        for path in files.values():
            job.findings += export(trained, path).findings
        return {name: load_model(path) for name, path in files.items()}


def _quantise(job: Job, trained: Model, dataset: str, plan: Plan) -> Model:
    from spikeport.verbs.quantize import quantize

    path = job.out / "model.int.nir"
    with job.stage("quantize") as progress:
        job.findings += quantize(trained, data=dataset, out=path, progress=progress, **dict(plan.quantize)).findings
        return load_model(path)


def _simulate(
    job: Job,
    trained: Model,
    reread: Mapping[str, Model],
    integer: Model,
    test: Data,
    lava_samples: int,
    seconds: float | None,
) -> None:
    """Every execution of the network; each is warmed up first, so that speeds compare."""
    warm = Request(trains=True, events=True)
    job.run("pytorch", trained, "pytorch", test.x)
    job.run("graph", trained, "reference", test.x)
    job.run("nir", reread["nir"], "reference", test.x)
    job.run("onnx", reread["onnx"], "onnxruntime", test.x)
    execute(integer, "integer", test.x, warm)
    job.run("integer", integer, "integer", test.x, events=True)
    if lava_samples:
        job.run("lava", integer, "lava", Samples.of(trained.graph, test.x).first(lava_samples).array, seconds=seconds)


def _compare(job: Job, trained: Model, test: Data) -> dict[str, Parity]:
    records = job.records
    with job.stage("compare"):
        parities = {
            "graph": _judged(trained.graph, test.x, records["graph"], records["pytorch"], of="b"),
            "nir": _judged(trained.graph, test.x, records["nir"], records["graph"], of="a"),
            "onnx": _judged(trained.graph, test.x, records["onnx"], records["graph"], of="a"),
            "integer": _judged(trained.graph, test.x, records["integer"], records["graph"], of="a"),
            "graph_float64": _float64(trained, test.x),
        }
        if "lava" in records:
            parities["lava"] = parity(records["lava"], records["integer"].first(records["lava"].samples), exact=True)
    return parities


def _judged(graph: Graph, x: Array, a: Record, b: Record, of: str) -> Parity:
    judged = a if of == "a" else b
    return parity(a, b, margins(graph, x, judged), judged=judged)


def _float64(trained: Model, x: Array) -> Parity:
    """Module and graph, both in float64: there every spike must agree."""
    import copy

    from spikeport.tracing import capture
    from spikeport.tracing.observe import observe

    assert trained.module is not None
    module = copy.deepcopy(trained.module).double()
    graph = capture(module, trained.graph.shapes[trained.graph.input], verify=False).with_(arithmetic=Real("float64"))
    x64 = np.asarray(x, dtype=np.float64)
    ours, theirs = simulate(graph, x64, Request(trains=True)), observe(module, graph, x64, Request(trains=True))
    return parity(ours, theirs, exact=True)


#: What each parity of result.json is measured against.
AGAINST = {
    "graph": "pytorch",
    "graph_float64": "pytorch in float64",
    "nir": "graph",
    "onnx": "graph",
    "integer": "graph",
    "lava": "integer",
}


def _explain(job: Job, trained: Model, integer: Model, test: Data) -> dict[str, Any]:
    """Why the integers differ from the real network, one cause at a time, and where they first do."""
    whole, real = job.records["integer"].first(WHY_SAMPLES), job.records["graph"].first(WHY_SAMPLES)
    with job.stage("causes"):
        reasons = causes(
            prepare(trained.graph),
            integer.graph,
            Samples.of(trained.graph, test.x).first(WHY_SAMPLES).array,
            simulate,
            labels=test.labels[:WHY_SAMPLES],
            b_record=whole,
        )
    parted = first_divergence(whole, real)
    if parted is not None:
        parted = with_moments(parted, Side(integer.graph, simulate), Side(trained.graph, simulate), test.x)
    return {
        "causes": {"integer": plain(reasons)},
        "first_divergence": {} if parted is None else {"integer": parted.told("the integer network", "the real one")},
    }


def _result(job: Job, trained: Model, test: Data, parities: Mapping[str, Parity]) -> dict[str, Any]:
    stages = [name for name in ("pytorch", "nir", "onnx", "integer", "lava") if name in job.records]
    meta, records = trained.metadata, job.records
    rates = records["pytorch"].rates()
    return {
        "model": meta["model"],
        "dataset": test.name,
        "method": meta["method"],
        "timesteps": trained.graph.timesteps,
        "device": "cpu",
        "seed": meta.get("seed"),
        "versions": versions(),
        "thresholds": {name: _schedule(node) for name, node in trained.graph.nodes_of(LIF).items()},
        "firing_rate": {name: rate.tolist() for name, rate in rates.items()},
        "samples": {name: records[name].samples for name in stages},
        "accuracy": {name: records[name].accuracy(test.labels[: records[name].samples]) for name in stages},
        "parity": {name: parities[name].as_dict(AGAINST[name]) for name in AGAINST if name in parities},
        "samples_per_second": {
            name: round(records[name].samples / records[name].seconds, 2) for name in stages if name != "nir"
        },
        "seconds": job.seconds,
        "findings": plain(list(dict.fromkeys(job.findings))),
    }


def _provenance(job: Job, recipe: str, method: str | None) -> dict[str, str]:
    """What was asked for, and which files came of it."""
    command = f"spikeport run {recipe}" + (f" --method {method}" if method else "")
    files = [Path(recipe)] * Path(recipe).is_file() + sorted(job.out.glob("model.*"))
    return {"command": command} | machine() | {f"sha256 of {path.name}": sha256(path) for path in files}


def _schedule(node: LIF) -> list[float]:
    """One number a timestep: the threshold, or the mean over channels where they differ."""
    flat = node.threshold.reshape(node.timesteps, -1)
    return [float(value) for value in flat.mean(1)]


def _energy(job: Job, integer: Model, x: Array, chip: Chip) -> dict[str, Any]:
    """Priced on the deployed network's own events, with the messages and the step times of its mapping."""
    with job.stage("energy"):
        mapping, notes = mapped(integer.graph, chip)
        costs = price(tally(integer, job.records["integer"], x, mapping), notes=notes).as_dict()
    return {name: costs[name] for name in ("energy_joule_per_sample", "verdicts", "latency")} | {
        "energy_notes": costs["notes"]
    }


__all__ = ["AGAINST", "run"]
