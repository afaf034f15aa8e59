"""What came of a whole run: where its executions part and why, what a sample costs, all as ``result.json`` has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.comparison import Parity, Side, causes, enough, first_divergence, parity, with_moments
from spikeport.engine import simulate
from spikeport.engine.lengths import to_ends
from spikeport.engine.margins import margins_by_samples
from spikeport.files import plain
from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, Array, Graph, Loihi, Real, Samples
from spikeport.mapping import Chip
from spikeport.quantisation import prepare
from spikeport.record import Record
from spikeport.target import Request, target
from spikeport.verbs.doctor import versions
from spikeport.verbs.energy import mapped, price
from spikeport.verbs.events import tally
from spikeport.verbs.execute import execute
from spikeport.verbs.job import Job, Subject
from spikeport.verbs.load import Model
from spikeport.verbs.shards import Given

#: What each parity of result.json is measured against; that of the target is the job's ``against``.
AGAINST = {
    "graph": "pytorch",
    "graph_float64": "pytorch in float64",
    "nir": "graph",
    "onnx": "graph",
    "integer": "graph",
}


def compared(job: Job, subject: Subject, simulator: str | None) -> dict[str, Parity]:
    """Each execution against the one that it has to equal."""
    graph, x, records = subject.model.graph, subject.test.given, job.records
    with job.stage("compare"):
        parities = {
            name: _judged(graph, x, records[name], records["graph"], of="a") for name in ("nir", "onnx", "integer")
        }
        if "pytorch" in records:
            parities["graph"] = _judged(graph, x, records["graph"], records["pytorch"], of="b")
            parities |= _float64(job, subject)
        if simulator is not None:
            run, whole = records[simulator], records[job.against].first(records[simulator].samples)
            if job.against == "integer":
                parities[simulator] = parity(run, whole, exact=True)
            else:
                parities[simulator] = _judged(graph, Samples.of(graph, x).first(run.samples).given, run, whole, of="a")
    return parities


def _judged(graph: Graph, x: Given, a: Record, b: Record, of: str) -> Parity:
    judged = a if of == "a" else b
    return parity(a, b, margins_by_samples(graph, x, judged), judged=judged)


def _float64(job: Job, subject: Subject) -> dict[str, Parity]:
    """Module and graph, both in float64: there every spike must agree. It is said where a module knows no float64."""
    from spikeport.tracing.code import Named
    from spikeport.tracing.state import twin_of

    model, test = subject.model, subject.test
    assert model.module is not None
    options = {**model.metadata.get("options", {}), "verify": False}
    double = replace(test, x=np.asarray(test.x, dtype=np.float64))
    try:
        module = twin_of(model.module).double()
        named = Named(module, model.metadata["input_shape"], options)
        graph = named.graph(model.graph.timesteps).with_(arithmetic=Real("float64"))
        graph = graph.replace({graph.input: model.graph.entry})
        theirs = execute(replace(model, module=module, graph=graph), "pytorch", double.given, Request(trains=True))
    except Exception as error:  # of the user's code, which may raise anything
        why = error.findings[0].what if isinstance(error, SpikeportError) else f"{type(error).__name__}: {error}"
        what = f"it does not run in float64 ({why.splitlines()[0][:200]})"
        mend = "nothing: capture compared every spike in float64 on samples of its own"
        job.findings.append(Finding("SP240", what, where=model.name, mend=mend, severity="note"))
        return {}
    ours = to_ends(simulate, double.lengths)(graph, double.x, Request(trains=True))
    return {"graph_float64": parity(ours, theirs, exact=True)}


def explained(job: Job, subject: Subject, integer: Model) -> dict[str, Any]:
    """Why the integers differ from the real network, one cause at a time, and where they first do."""
    trained, test = subject.model.graph, subject.test
    whole, real = job.records["integer"], job.records["graph"]
    assert isinstance(integer.graph.arithmetic, Loihi)
    profile = integer.graph.arithmetic.profile
    with job.stage("causes"):
        count = enough(trained)
        few = Samples.of(trained, test.given).first(count)
        reasons = causes(
            prepare(trained, profile),
            integer.graph,
            few.array,
            to_ends(simulate, few.lengths),
            labels=None if test.y is None else test.y[:count],
            b_record=whole.first(count),
        )
    parted = first_divergence(whole, real)
    if parted is not None:
        parted = with_moments(parted, Side(integer.graph, simulate), Side(trained, simulate), test.x)
    return {
        "causes": {"integer": plain(reasons)},
        "first_divergence": {} if parted is None else {"integer": parted.told("the integer network", "the real one")},
    }


def result_of(job: Job, subject: Subject, parities: Mapping[str, Parity]) -> dict[str, Any]:
    """The facts of the run, for ``result.json``."""
    records, meta, test = job.records, subject.model.metadata, subject.test
    order = (subject.base, "nir", "onnx", "integer")
    stages = [*order, *(name for name in records if name not in (*order, "graph"))]
    known = {"method": meta.get("method"), "seed": meta.get("seed")}
    against = AGAINST | {name: job.against for name in stages if name not in order}
    return {
        "model": meta.get("model", subject.model.name),
        "dataset": test.name,
        **{name: value for name, value in known.items() if value is not None},
        "timesteps": subject.model.graph.timesteps,
        "device": records["graph"].origin.get("device", "cpu"),
        "versions": versions(),
        "thresholds": {name: _schedule(node) for name, node in subject.model.graph.nodes_of(LIF).items()},
        "firing_rate": {name: rate.tolist() for name, rate in records[subject.base].rates().items()},
        "samples": {name: records[name].samples for name in stages},
        "accuracy": {}
        if test.y is None
        else {name: records[name].accuracy(test.y[: records[name].samples]) for name in stages},
        "parity": {name: parities[name].as_dict(against[name]) | _oracle(name) for name in against if name in parities},
        "samples_per_second": {
            name: round(records[name].samples / records[name].seconds, 2) for name in stages if name != "nir"
        },
        "seconds": job.seconds,
        "findings": plain(list(dict.fromkeys(job.findings))),
    }


def _oracle(name: str) -> dict[str, str]:
    """What computed a stage, where that is a target besides our engine and says so: a simulator and its version."""
    version = "" if name in AGAINST else target(name).availability().version
    return {"oracle": version} if version else {}


def _schedule(node: LIF) -> list[float]:
    """One number a timestep: the threshold, or the mean over channels where they differ."""
    flat = node.threshold.reshape(node.timesteps, -1)
    return [float(value) for value in flat.mean(1)]


def energy(job: Job, integer: Model, x: Array, chip: Chip) -> dict[str, Any]:
    """Priced on the deployed network's own events, with the messages and the step times of its mapping."""
    with job.stage("energy"):
        mapping, notes = mapped(integer.graph, chip)
        costs = price(tally(integer, job.records["integer"], x, mapping), notes=notes).as_dict()
    return {name: costs[name] for name in ("energy_joule_per_sample", "verdicts", "latency")} | {
        "energy_notes": costs["notes"]
    }
