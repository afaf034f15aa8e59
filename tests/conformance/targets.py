"""The targets that the suite knows, each with the kinds of networks that it is tried on; plug-ins join by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module

from numpy_target import Numpy
from shift_arithmetic import ShiftTarget

import interpreted
from conformance.cases import Case
from conformance.frame_by_frame import FrameByFrame
from conformance.one_by_one import OneByOne
from conformance.side_by_side import SideBySide
from conformance.single_steps import SingleSteps
from spikeport.findings import Finding, SpikeportError
from spikeport.record import Record
from spikeport.target import USUAL, Request, Target, target
from spikeport_targets.speck import Speck
from spikeport_targets.xylo import Xylo

Outcome = Record | SpikeportError


@dataclass(frozen=True)
class Tried:
    """What a target said of a network, and what came of it."""

    findings: tuple[Finding, ...]  #: of its check
    outcome: Outcome | None  #: of its run; None where nobody tried


@dataclass(frozen=True)
class Contestant:
    """A target in the suite."""

    name: str
    kinds: tuple[str, ...]
    make: Callable[[], Target]
    kernels: str = ""  #: of the engine: plain, fast, or a card's on the CPU: triton in its interpreter, products
    graphs: int = 200  #: that it runs in `make test`, at least

    @property
    def missing(self) -> str:
        """Why it cannot run here."""
        availability = self.make().availability()
        return availability.why or (interpreted.MISSING if self.kernels == "triton" else "")

    def request(self, case: Case | None = None) -> Request:
        """Everything that it shows."""
        shows = getattr(self.make(), "shows", USUAL)
        batch = case.batch if case else None
        return Request(trains=True, membranes="membranes" in shows, events="events" in shows, batch=batch)

    def try_all(self, cases: Sequence[Case]) -> list[Tried]:
        """Check every case, and run it."""
        with kernels(self.kernels):
            return [self.attempt(case) for case in cases]

    def attempt(self, case: Case) -> Tried:
        """One case. What `check` refuses is tried too: it must not run."""
        findings = tuple(self.make().check(case.graph))
        try:
            outcome: Outcome = self.make().run(case.graph, case.samples, self.request(case))
        except SpikeportError as error:
            outcome = error
        return Tried(findings, outcome)


@dataclass(frozen=True)
class Together(Contestant):
    """All accepted cases in one child process, since its start takes a second or more."""

    module: str = ""  #: where its ``run_all`` is

    def try_all(self, cases: Sequence[Case]) -> list[Tried]:
        run_all = import_module(self.module).run_all
        findings = [tuple(self.make().check(case.graph)) for case in cases]
        errors = [any(each.severity == "error" for each in some) for some in findings]
        jobs = [(case.graph, case.samples) for case, bad in zip(cases, errors, strict=True) if not bad]
        records = iter(run_all(jobs, self.request()) if jobs else [])
        return [Tried(some, None if bad else next(records)) for some, bad in zip(findings, errors, strict=True)]


@contextmanager
def kernels(name: str) -> Iterator[None]:
    """The engine's kernels within."""
    before = os.environ.pop("SPIKEPORT_KERNELS", None)
    if name in ("plain", "triton", "products"):
        os.environ["SPIKEPORT_KERNELS"] = name
    try:
        with interpreted.interpreted() if name == "triton" else nullcontext():
            yield
    finally:
        os.environ.pop("SPIKEPORT_KERNELS", None)
        if before is not None:
            os.environ["SPIKEPORT_KERNELS"] = before


def named(name: str) -> Callable[[], Target]:
    return lambda: target(name)


NENGO = "spikeport_targets.nengo_loihi"
REALS = ("float32", "float64")
CONTESTANTS = {
    each.name: each
    for each in (
        Contestant("integer, plain", ("integers",), named("integer"), "plain", 100),
        Contestant("integer, fast", ("integers",), named("integer"), "fast", 100),
        Contestant("integer, one by one", ("integers",), OneByOne, "fast", 8),
        Contestant("integer, frame by frame", ("integers",), FrameByFrame, "fast", 6),
        Contestant("integer, three threads", ("integers",), lambda: SideBySide("integer"), "fast", 6),
        Contestant("reference, plain", REALS, named("reference"), "plain", 100),
        Contestant("reference, fast", REALS, named("reference"), "fast", 100),
        Contestant("reference, three threads", REALS, lambda: SideBySide("reference"), "fast", 6),
        Contestant("integer, triton", ("integers",), named("integer"), "triton", 20),
        Contestant("integer, products", ("integers",), named("integer"), "products", 20),
        Contestant("integer-cuda", ("integers",), named("integer-cuda"), graphs=100),
        Contestant("reference-cuda", REALS, named("reference-cuda"), graphs=100),
        Contestant("onnxruntime", ("integers", *REALS), named("onnxruntime")),
        Contestant("onnxruntime, step by step", ("integers", "float32"), SingleSteps, graphs=30),
        Contestant("numpy", ("linear",), Numpy, graphs=20),
        Contestant("shifts", ("shifts",), ShiftTarget, graphs=20),
        Together("lava", ("lava", "lava, real"), named("lava"), graphs=15, module="spikeport_targets.lava.target"),
        Together("nengo-loihi", ("nengo-loihi",), named("nengo-loihi"), graphs=8, module=f"{NENGO}.target"),
        Together("speck", ("speck",), Speck, graphs=20, module="spikeport_targets.speck.target"),
        Together("xylo", ("xylo",), Xylo, graphs=20, module="spikeport_targets.xylo.target"),
        Contestant("sanafe", ("sanafe",), named("sanafe"), graphs=3),
    )
}


def plug_in(name: str) -> Contestant:
    """A target by the name of its entry point: tried on everything, held to what it accepts."""
    return Contestant(name, ("integers", *REALS, "linear"), named(name), graphs=1)


def contestants() -> dict[str, Contestant]:
    """Those of the suite, and the plug-ins that SPIKEPORT_CONFORMANCE names, with commas between them."""
    names = filter(None, os.environ.get("SPIKEPORT_CONFORMANCE", "").split(","))
    return CONTESTANTS | {name: plug_in(name) for name in names}
