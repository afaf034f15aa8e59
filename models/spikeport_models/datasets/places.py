"""Where data sets lie: nothing is downloaded, a missing one is an error that says what to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spikeport.findings import fail

VARIABLE = "SPIKEPORT_DATA"  #: environment variable: a folder with one sub-folder (or file) a data set


def roots() -> list[Path]:
    """The folders that are searched: the one the variable names, then ``../shared/data`` beside the checkout."""
    named = os.environ.get(VARIABLE)
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    return [Path(named)] if named else [beside]


@dataclass(frozen=True, slots=True)
class Place:
    """The places of one data set, and how to get it."""

    name: str
    inside: tuple[str, ...]  #: paths below each root
    needs: tuple[str, ...] = ()  #: paths that must be inside the folder; none where the path itself is the data
    fixed: tuple[str, ...] = ()  #: absolute folders, where packages of the system put it
    get: str = ""  #: how to get it, one sentence

    def candidates(self) -> list[Path]:
        """Everywhere it may be, the most particular place first."""
        return [root / path for root in roots() for path in self.inside] + [Path(path) for path in self.fixed]

    def find(self, folder: Path | str | None = None) -> Path:
        """The first place where it is whole; only ``folder``, where that is given. Raises SP361."""
        places: Sequence[Path] = [Path(folder)] if folder is not None else self.candidates()
        for place in places:
            if place.exists() and all((place / path).exists() for path in self.needs):
                return place
        fail(
            "SP361",
            f"the data set {self.name!r} is not on this machine; looked at {', '.join(map(str, places))}",
            mend=f"{self.get}\n       then put it into one of these places, or set {VARIABLE} to the folder above it",
        )

    def status(self) -> str:
        """Where it is, or how to get it."""
        for place in self.candidates():
            if place.exists() and all((place / path).exists() for path in self.needs):
                return str(place)
        return f"missing: {self.get}"
