"""Runs a plan in a process group of its own with a time limit, and brings the result or the reason back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.graph import Array
from spikeport_targets import watched
from spikeport_targets.sanafe.plan import Plan

SECONDS = 600.0
HOW = "pip install sanafe"
ERRORS = watched.Errors("SANA-FE", exception="SP743", time="SP744", memory="SP744", killed="SP745")


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
    with watched.folder_of("spikeport-sanafe-") as folder:
        plan.write(folder)
        watched.run(
            watched.module("spikeport_targets.sanafe.worker", str(folder)),
            folder,
            ERRORS,
            seconds=seconds or SECONDS,
            memory=memory,
            segments=f"spikeport_sanafe_{os.getpid()}_none_",
            where=lambda: "sanafe",
        )
        result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        trains: dict[str, Array] = {}
        if (folder / "spikes.npz").exists():
            with np.load(folder / "spikes.npz", allow_pickle=False) as file:
                trains = {plan.groups[int(place)].name: file[place] for place in file.files}
        return Outcome(**result, trains=trains)
