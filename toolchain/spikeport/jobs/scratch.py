"""Folders that are not whole yet, named by who writes them, so that what a dead writer left can be removed."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from pathlib import Path
from uuid import uuid4


def part(path: Path) -> Path:
    """A name beside ``path`` that no other writer has: ``NAME.MACHINE-PID-….part``."""
    return path.with_name(f"{path.name}.{_machine()}-{os.getpid()}-{uuid4().hex[:6]}.part")


def clean(folder: Path, pattern: str) -> None:
    """Remove what processes of this machine that are gone left half-written."""
    for place in folder.glob(f"{pattern}.part"):
        if _is_dead(place.name):
            shutil.rmtree(place, ignore_errors=True)


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:4]


def _is_dead(name: str) -> bool:
    """Whether the writer was a process of this machine that is gone."""
    machine, _, rest = name.removesuffix(".part").rpartition(".")[2].partition("-")
    pid = rest.partition("-")[0]
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
