"""A whole run on its way: what it is about, every execution of the network, and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spikeport.findings import Finding
from spikeport.graph import LIF, Samples
from spikeport.quantisation import load_profile
from spikeport.record import Record
from spikeport.target import Progress as Callback
from spikeport.target import Request, silent, target
from spikeport.verbs.clip import clipped
from spikeport.verbs.execute import execute
from spikeport.verbs.load import Data, Model, load_model
from spikeport.verbs.plan import Plan
from spikeport.verbs.shards import Given

Bar = Callable[[str], AbstractContextManager[Callback]]


def no_bar(title: str) -> AbstractContextManager[Callback]:
    """The progress bar that shows nothing."""
    return nullcontext(silent)


@dataclass(frozen=True)
class Subject:
    """What a whole run is about."""

    model: Model  #: the trained network, in real numbers
    test: Data  #: the samples that judge it
    calibration: Any  #: what calibrates its integers, as `quantize` takes it

    @property
    def base(self) -> str:
        """The stage that all is held against in the end: PyTorch, or the graph of a network that is no module."""
        return "graph" if self.model.module is None else "pytorch"


ENGINE = ("reference", "integer")  #: the targets that are our engine


@dataclass
class Job:
    """One run on its way: what is known so far, and how long each stage took."""

    out: Path
    bar: Bar
    device: str = "cpu"  #: of our engine
    seconds: dict[str, float] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    against: str = "integer"  #: the stage whose network the target runs

    @contextmanager
    def stage(self, name: str) -> Iterator[Callback]:
        """Time a stage and show its progress."""
        begun = time.perf_counter()
        with self.bar(name) as progress:
            yield progress
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begun, 3)

    def run(self, name: str, model: Model, target: str, x: Given, **wishes: Any) -> Record:
        """Run a model and keep its record, with all spike trains."""
        with self.stage(name) as progress:
            device = self.device if target in ENGINE else "cpu"
            record = execute(model, target, x, Request(trains=True, device=device, progress=progress, **wishes))
        self.records[name] = record
        self.findings += record.findings
        return record

    def export(self, trained: Model) -> dict[str, Model]:
        """The network as NIR and as ONNX, written and read back."""
        from spikeport.verbs.export import export

        files = {name: self.out / f"model.{name}" for name in ("nir", "onnx")}
        with self.stage("export"):
            for path in files.values():
                self.findings += export(trained, path).findings
            return {name: load_model(path) for name, path in files.items()}

    def quantise(self, subject: Subject, plan: Plan, simulator: str | None) -> Model:
        """The network in integers, in the number format of the plan, or in that of its target."""
        from spikeport.verbs.quantize import quantize

        path, options = self.out / "model.int.nir", dict(plan.quantize)
        if options["profile"] is None:
            options["profile"] = self._profile(subject, plan, simulator)
        with self.stage("quantize") as progress:
            options |= {"device": self.device, "progress": progress, "clip": plan.clip}
            made = quantize(subject.model, data=subject.calibration, out=path, **options)
            self.findings += made.findings
            return load_model(path)

    def clipped(self, subject: Subject, integer: Model) -> Subject:
        """The subject whose samples are cut off where integers may enter no further, for every stage that runs them."""
        test = clipped(subject.test, integer.graph)
        self.findings += test.findings[len(subject.test.findings) :]
        return replace(subject, test=test)

    def _profile(self, subject: Subject, plan: Plan, simulator: str | None) -> str:
        """The number format that the target asks for, where that can hold the network's thresholds."""
        wanted = "loihi2" if simulator is None else getattr(target(simulator), "profile", "loihi2")
        layers = subject.model.graph.nodes_of(LIF).items()
        moving = [name for name, node in layers if (node.threshold != node.threshold[:1]).any()]
        if load_profile(wanted).schedule or not moving or plan.quantize.thresholds is not None:
            return wanted
        what = f"thresholds of {moving[0]!r} change with time, which {wanted} has not: quantised for loihi2"
        mend = 'thresholds = "best" under [quantize] in a plan makes one threshold of each schedule, which is lossy'
        where = f"target {simulator!r}"
        self.findings.append(Finding("SP243", what, where=where, mend=mend, severity="substituted"))
        return "loihi2"

    def simulate(
        self, subject: Subject, reread: Mapping[str, Model], integer: Model, plan: Plan, simulator: str | None
    ) -> None:
        """Every execution of the network; each is warmed up first, so that speeds compare."""
        trained, x = subject.model, subject.test.given
        if trained.module is not None:
            self.run("pytorch", trained, "pytorch", x)
        self.run("graph", trained, "reference", x)
        self.run("nir", reread["nir"], "reference", x)
        self.run("onnx", reread["onnx"], "onnxruntime", x)
        execute(integer, "integer", x, Request(trains=True, events=True, device=self.device))
        self.run("integer", integer, "integer", x, events=True)
        if simulator is None:
            return
        first = Samples.of(trained.graph, x).first(plan.target_samples).given
        refused = any(finding.severity == "error" for finding in target(simulator).check(integer.graph))
        takes_real = not any(finding.severity == "error" for finding in target(simulator).check(trained.graph))
        self.against = "graph" if refused and takes_real else "integer"
        self.run(simulator, trained if self.against == "graph" else integer, simulator, first, seconds=plan.time_limit)
