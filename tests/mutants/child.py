"""Run tests in a forked child: torch and the other libraries are imported once, spikeport anew for each mutant."""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

#: what the child need not import again; nothing of these imports a room in which mutants are made
LIBRARIES = (
    "pytest",
    "hypothesis.stateful",
    "hypothesis.extra.numpy",
    "xdist",
    "pytest_timeout",
    "torch",
    "numpy",
    "numba",
    "scipy.stats",
    "scipy.sparse",
    "sklearn.datasets",
    "sklearn.model_selection",
    "h5py",
    "nir",
    "onnx",
    "onnxruntime",
    "pydantic",
    "typer.testing",
    "rich",
    "jinja2",
    "matplotlib.pyplot",
    "safetensors.torch",
    "spikeport.machine",
)
WAIT = 6  #: seconds on the wall for each second of one core: for a busy machine, and for what waits for ever
MEMORY = 6 << 30  #: bytes that a child may have: a mutant that asks for more ends as one that fails


@dataclass(frozen=True)
class Verdict:
    """How a run of tests ended."""

    outcome: str  #: passed, failed, crashed, late or broken
    test: str  #: the first test that failed, or ""
    seconds: float  #: of one core, so that a busy machine changes no verdict


def prepare(tree: Path) -> None:
    """Make this process the one that children are forked from; they import spikeport from the copy."""
    roots = [str(tree / name) for name in ("toolchain", "targets", "models")]
    sys.path[:0] = roots
    os.environ.update(PYTHONPATH=os.pathsep.join(roots), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", CI="1")
    os.environ["SPIKEPORT_CACHE"] = str(tree / "build" / "cache")
    for name in LIBRARIES:
        importlib.import_module(name)
    os.chdir(tree)
    gc.freeze()  # what is here now is never collected, in no child


def tested(tree: Path, files: list[str], limit: float, *plugins: object, keep_bytecode: bool) -> Verdict:
    """Run files of tests in a child that has ``limit`` seconds of one core, and six times that to wait.

    The first test to fail ends it. ``plugins`` are pytest's; bytecode is not kept of mutants.
    """
    log, told, started = tree / "child.log", tree / "child.json", time.monotonic()
    told.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
            os._exit(_child(tree, files, log, [_Teller(told), *plugins], keep_bytecode=keep_bytecode))
        finally:
            traceback.print_exc()
            os._exit(1)
    ended = (0, 0, None)
    try:
        while ended[0] == 0 and time.monotonic() - started < WAIT * limit:
            time.sleep(0.05)
            ended = os.wait4(pid, os.WNOHANG)
    finally:  # also where this process is told to end
        if waited_long := ended[0] == 0:
            os.killpg(pid, signal.SIGKILL)
            ended = os.wait4(pid, 0)
    code, seconds = os.waitstatus_to_exitcode(ended[1]), ended[2].ru_utime + ended[2].ru_stime
    test = json.loads(told.read_text()) if told.exists() else ""
    late = waited_long or code == -signal.SIGXCPU
    outcome = "late" if late else "crashed" if code < 0 else "passed" if code == 0 else "failed" if test else "broken"
    return Verdict(outcome, test, round(seconds, 1))


def _child(tree: Path, files: list[str], log: Path, plugins: list[object], *, keep_bytecode: bool) -> int:
    """The life of a child: its own group, its own output, a bound on memory, pytest."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with log.open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    if not keep_bytecode:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import pytest

    # Lava runs in a child, which knows nothing of how calls are recorded here
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow and not bench and not lava",
        "--rootdir",
        str(tree),
    ]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plug-ins were imported before pytest began
    return int(pytest.main([*options, *files], plugins=plugins))


class _Teller:
    """A plug-in of pytest that writes down the first test, or file, that fails, and has no example made smaller."""

    def __init__(self, told: Path) -> None:
        self.told = told

    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings

        settings.register_profile("mutants", settings(), phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report) -> None:
        self.tell(report)

    def pytest_collectreport(self, report) -> None:
        self.tell(report)

    def tell(self, report) -> None:
        if report.failed and not self.told.exists():
            self.told.write_text(json.dumps(report.nodeid))
