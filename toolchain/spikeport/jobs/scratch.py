"""What is not whole yet, files and folders, named by who writes them: what a dead writer left can be removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from spikeport.files import left
from spikeport.files import part_of as part

__all__ = ["clean", "part"]


def clean(folder: Path, pattern: str) -> None:
    """Remove what processes of this machine that are gone left half-written, among what has such names."""
    for place in [*folder.glob(f"{pattern}.part")]:
        if left(place):
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)
