"""What the worker shall build: Lava processes and wires, as plain arrays. Needs no Lava."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.graph import Array
from spikeport.passes.align_delays import Pipeline

CLOCK = "clock.npy"  #: the file in which the output's recorder counts and times the steps


@dataclass(frozen=True)
class Process:
    """One Lava process: its class by name, and its arguments."""

    name: str
    kind: str
    arrays: Mapping[str, Array] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)  #: JSON values; names that end in _log are logs


@dataclass(frozen=True)
class Wire:
    """From a process's output to another one's input, flattened on the way if the shape says so."""

    source: str
    target: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Log:
    """A memory map that processes write, a row a step (or whole, where `rows` is False)."""

    shape: tuple[int, ...]
    dtype: str
    rows: bool = True


@dataclass
class Plan:
    """All of it."""

    steps: int
    tag: str  #: which models Lava shall take: fixed_pt or floating_pt
    pipeline: Pipeline
    processes: dict[str, Process] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)
    logs: dict[str, Log] = field(default_factory=dict)

    def add(self, name: str, kind: str, arrays: Mapping[str, Array] | None = None, **options: Any) -> str:
        """Put one process in."""
        self.processes[name] = Process(name, kind, dict(arrays or {}), options)
        return name

    def log(self, name: str, shape: tuple[int, ...], dtype: str, *, rows: bool = True) -> str:
        """Put one memory map in."""
        file = f"log-{len(self.logs)}.npy"
        self.logs[name] = Log(shape, dtype, rows)
        return file

    def file(self, name: str) -> str:
        """The file of a log."""
        return f"log-{list(self.logs).index(name)}.npy"

    def write(self, folder: Path) -> None:
        """``plan.json`` and ``plan.npz`` into a new folder, and a file of zeros for each log."""
        folder.mkdir()
        arrays = {(p.name, key): value for p in self.processes.values() for key, value in p.arrays.items()}
        with (folder / "plan.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **{str(i): value for i, value in enumerate(arrays.values())})
        described = {
            "steps": self.steps,
            "tag": self.tag,
            "arrays": list(arrays),
            "processes": [
                {"name": p.name, "kind": p.kind, "options": dict(p.options)} for p in self.processes.values()
            ],
            "wires": [[w.source, w.target, w.shape] for w in self.wires],
        }
        (folder / "plan.json").write_text(json.dumps(described))
        for name, log in self.logs.items():
            shape = (self.steps, *log.shape) if log.rows else log.shape
            zeros(folder / self.file(name), log.dtype, shape)
        zeros(folder / CLOCK, "float64", (3,))

    def read(self, folder: Path) -> dict[str, Array]:
        """The logs, and ``clock``: steps done, time of the first step, time of the last one (seconds)."""
        files = {name: self.file(name) for name in self.logs} | {"clock": CLOCK}
        return {name: np.load(folder / file, mmap_mode="r") for name, file in files.items()}


def zeros(file: Path, dtype: str, shape: tuple[int, ...]) -> None:
    """A file of zeros that processes write into as a memory map."""
    np.lib.format.open_memmap(file, "w+", np.dtype(dtype), shape)  # type: ignore[no-untyped-call]
