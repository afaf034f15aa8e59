"""The parts of a long run that are finished, read as anybody can: a Record a file."""

from __future__ import annotations

import json
from pathlib import Path

from spikeport.record import Record, join


def finished(folder: Path) -> tuple[Record, int]:
    """The record of the finished parts, and how many samples the whole run has."""
    total = json.loads((folder / "run.json").read_text())["samples"]
    return join([Record.load(path) for path in sorted(folder.glob("part-*.npz"))]), total
