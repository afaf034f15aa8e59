"""The child process: builds the planned network in Lava and runs it. Imports no torch, nor anything that does."""

from __future__ import annotations

import ctypes
import importlib
import json
import multiprocessing.process
import multiprocessing.shared_memory
import os
import secrets
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from spikeport_targets.guard import reporting, unlink_shared_memory
from spikeport_targets.lava import shim

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(folder: Path, segments: str) -> NoReturn:
    """Run the plans in ``folder``, each in a fork of its own and as many at once as there are processors.

    Lava is imported once for all.
    """

    def work() -> int:
        report_exceptions(folder)
        shim.install()
        import_lava()
        return run_all(sorted(folder.glob("plan-*")), segments)

    do_and_end(folder, work)


def do_and_end(folder: Path, work: Callable[[], int]) -> NoReturn:
    """End with the status that ``work`` returns, and without Lava's own clean-up, which may hang for ever."""
    status = 1
    try:
        with reporting(folder):
            die_with_parent()
            status = work()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # the guard cleans up better


def run_all(plans: list[Path], segments: str) -> int:
    """Run plans until one fails. Returns 0 for success."""
    running: dict[int, str] = {}
    waiting = list(reversed(plans))
    while running or waiting:
        if waiting and len(running) < len(os.sched_getaffinity(0)):
            plan = waiting.pop()
            own = f"{segments}{plan.name}_"
            running[fork(plan, own)] = own
            continue
        pid, status = os.wait()
        unlink_shared_memory(running.pop(pid))
        if status:
            return os.waitstatus_to_exitcode(status) or 1
    return 0


def fork(plan: Path, segments: str) -> int:
    """Start one plan; what Lava forks for it ends with the fork. Returns its number."""
    if pid := os.fork():
        return pid

    def work() -> int:
        name_shared_memory(segments)
        run(plan)
        return 0

    do_and_end(plan.parent, work)


def import_lava() -> None:
    """Load what the plans need, so that the forks share it."""
    for name in ("core.run_conditions", "core.run_configs", "runtime.runtime", "compiler.compiler"):
        importlib.import_module(f"lava.magma.{name}")
    shim.widen()
    remember_models()


def remember_models() -> None:
    """Look for the models of each process class once: Lava would run every file beside it again for every process."""
    from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs

    search: Callable[[Any], list[type]] = ProcGroupDiGraphs._find_proc_models
    known = {}
    for kind in classes().values():
        sample = object.__new__(kind)
        sample._runtime = None  # asked for when it is collected
        known[kind] = search(sample)
    ProcGroupDiGraphs._find_proc_models = staticmethod(lambda proc: known[type(proc)])


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def report_exceptions(folder: Path) -> None:
    """Let every process that Lava forks write its traceback to a file: Lava itself only says that there was one."""
    original = multiprocessing.process.BaseProcess.run

    def run_and_report(process: multiprocessing.process.BaseProcess) -> None:
        die_with_parent()
        try:
            original(process)
        except BaseException:
            part = folder / f"exception-{os.getpid()}.part"
            part.write_text(traceback.format_exc())
            part.rename(part.with_suffix(".txt"))
            raise

    multiprocessing.process.BaseProcess.run = run_and_report  # type: ignore[method-assign, assignment]


def name_shared_memory(prefix: str) -> None:
    """Name the shared memory of this run so that the guard finds it, and only it."""
    kind = multiprocessing.shared_memory.SharedMemory
    original: Callable[..., None] = kind.__init__

    def named(self: Any, name: str | None = None, *args: Any, **kwargs: Any) -> None:
        create = kwargs.get("create", args[0] if args else False)
        original(self, prefix + secrets.token_hex(4) if create and name is None else name, *args, **kwargs)

    kind.__init__ = named  # type: ignore[method-assign]


def run(folder: Path) -> None:
    """Build the processes and wires of the plan and run all steps."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    plan = json.loads((folder / "plan.json").read_text())
    with np.load(folder / "plan.npz", allow_pickle=False) as file:
        arrays = {tuple(name): file[str(i)] for i, name in enumerate(plan["arrays"])}
    built: dict[str, Any] = {}
    for spec in plan["processes"]:
        own = {key: value for (name, key), value in arrays.items() if name == spec["name"]}
        built[spec["name"]] = build(spec["kind"], own, spec["options"], folder, built)
    for source, target, shape in plan["wires"]:
        outlet = port(built[source], ("s_out", "a_out"))
        outlet = outlet if shape is None else outlet.reshape(tuple(shape))
        outlet.connect(port(built[target], ("a_in", "s_in")))
    first = next(iter(built.values()))
    first.run(condition=RunSteps(num_steps=plan["steps"]), run_cfg=Loihi2SimCfg(select_tag=plan["tag"]))


def classes() -> dict[str, Any]:
    """The process classes by their names, which plans use."""
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import Dense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIFReset

    from spikeport_targets.lava.processes import process as ours

    own = (ours.ScheduledLIF, ours.RingDelay, ours.WindowSum, ours.ShiftedConv, ours.ChannelsFirst, ours.Multiply)
    return {kind.__name__: kind for kind in (RingBuffer, Dense, Conv, LIFReset, *own, ours.Recorder, ours.Probe)}


def build(kind: str, arrays: dict[str, Any], options: dict[str, Any], folder: Path, built: dict[str, Any]) -> Any:
    """One process. Lists become tuples, and names of logs become paths."""
    from lava.utils.weightutils import SignMode

    arguments = dict(arrays)
    for key, value in options.items():
        if key.endswith("_log") and value is not None:
            value = str(folder / value)
        short = {"file_log": "log", "clock_log": "clock"}.get(key, key)
        arguments[short] = tuple(value) if isinstance(value, list) else value
    observed = arguments.pop("of", None)
    if kind == "Dense":
        arguments["sign_mode"] = SignMode.MIXED
    process = classes()[kind](**arguments)
    if observed is not None:
        process.state.connect_var(built[observed].v)
    return process


def port(process: Any, names: tuple[str, ...]) -> Any:
    """The one input or output of a process."""
    return next(getattr(process, name) for name in names if hasattr(process, name))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
