"""What the worker shall build and run, as plain arrays: the file format between it and us. Needs no sinabs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.graph import Array
from spikeport_targets.plans import DONE


@dataclass(frozen=True)
class Part:
    """One module: what it is, from where values enter it, and its numbers."""

    name: str
    kind: str  #: conv, linear, pool, flatten, neurons or end, where the host adds up
    sources: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)  #: JSON values
    arrays: dict[str, Array] = field(default_factory=dict)
    kept: tuple[str, ...] = ()  #: what is written down: spikes, membrane, sums


@dataclass(frozen=True)
class Results:
    """What a run left behind."""

    parts: dict[str, dict[str, Array]]  #: part -> what was kept, [N, T, *shape] each
    seconds: float  #: of sinabs' layers


@dataclass
class Plan:
    """A network and its samples."""

    entry: str  #: the part's name by which the input is known
    input: Array  #: [N, T, *input], whole numbers
    parts: list[Part] = field(default_factory=list)
    at_once: int = 16  #: samples that run together

    def write(self, folder: Path) -> None:
        """``plan.json`` and ``plan.npz`` into a new folder, and a file for counting samples."""
        folder.mkdir()
        arrays = {"input": self.input}
        arrays |= {f"{i}/{key}": value for i, part in enumerate(self.parts) for key, value in part.arrays.items()}
        with (folder / "plan.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        parts = [
            {"name": p.name, "kind": p.kind, "sources": p.sources, "options": p.options, "kept": p.kept}
            for p in self.parts
        ]
        described = {"entry": self.entry, "at_once": self.at_once, "parts": parts}
        (folder / "plan.json").write_text(json.dumps(described))
        np.save(folder / DONE, np.zeros(1, np.int64))

    def read(self, folder: Path) -> Results:
        """What the worker wrote down."""
        with np.load(folder / "result.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        parts = {p.name: {key: arrays[f"{i}/{key}"] for key in p.kept} for i, p in enumerate(self.parts) if p.kept}
        return Results(parts, float(arrays["seconds"]))
