"""Runs a plan in a process group of its own with a time limit, and brings the result or the reason back."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.graph import Array
from spikeport_targets import watched
from spikeport_targets.sanafe.plan import Plan
from spikeport_targets.watched import TAIL, stderr_of

SECONDS = 600.0
HOW = "pip install sanafe"


@dataclass(frozen=True)
class Outcome:
    """What SANA-FE says of a run; energies in joule."""

    energy: dict[str, float]  #: total, synapse, dendrite, soma, network
    synaptic_events: int
    spikes: int  #: of inputs and neurons
    packets: int
    updates: int
    seconds: float  #: of the chip
    trains: dict[str, Array]  #: [steps, neurons] of computing layers


def installed() -> str | None:
    """Version of SANA-FE's distribution; a folder called sanafe on the path would pass for an empty package."""
    try:
        return version("sanafe")
    except PackageNotFoundError:
        return None


def execute(plan: Plan, seconds: float | None = None, memory: int | None = None) -> Outcome:
    """Run a plan. Raises SP743 for an exception inside, SP744 past a limit, SP745 if killed, SP746 without SANA-FE."""
    if installed() is None:
        fail("SP746", "the package sanafe (GPL-3.0) is not installed", where="sanafe", mend=HOW)
    folder = Path(tempfile.mkdtemp(prefix="spikeport-sanafe-"))
    try:
        plan.write(folder)
        limit = seconds or SECONDS
        verdict = watched.run(
            "spikeport_targets.sanafe.worker",
            [str(folder)],
            folder,
            seconds=limit,
            memory=memory,
            segments=f"spikeport_sanafe_{os.getpid()}_none_",
        )
        _judge(verdict, folder, limit)
        result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        trains: dict[str, Array] = {}
        if (folder / "spikes.npz").exists():
            with np.load(folder / "spikes.npz", allow_pickle=False) as file:
                trains = {plan.groups[int(place)].name: file[place] for place in file.files}
        return Outcome(**result, trains=trains)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _judge(verdict: dict[str, Any], folder: Path, seconds: float) -> None:
    failure = folder / "failure.txt"
    if failure.exists():
        text = failure.read_text()[-TAIL:].rstrip()
        fail(
            "SP743",
            f"an exception inside SANA-FE: {text.splitlines()[-1] if text else 'no traceback'}",
            where="sanafe",
            why=f"its traceback:\n{text}",
            mend="report it with the model if the traceback ends in spikeport's own files",
        )
    if verdict["reason"] in ("time", "memory"):
        past = (
            f"time limit ({seconds:g} s)"
            if verdict["reason"] == "time"
            else (f"memory limit (it used {verdict['bytes'] / 2**20:.0f} MiB)")
        )
        fail(
            "SP744",
            f"the run was stopped at its {past}",
            where="sanafe",
            mend="run fewer samples or a smaller network, or raise the limit",
        )
    if verdict["reason"] != "ended" or verdict["killed"] or verdict["status"]:
        fail(
            "SP745",
            f"the worker ended without a result: {verdict}",
            where="sanafe",
            why=stderr_of(folder),
            mend="see whether something else on this machine ends processes",
        )
