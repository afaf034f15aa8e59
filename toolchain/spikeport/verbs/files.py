"""Where results are put: never half-written, and never into a place that cannot take them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from spikeport.findings import fail


def folder(path: Path | str) -> Path:
    """A folder to write into, made if need be. Raises SP906 if it cannot be."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail("SP906", f"cannot be a folder to write into ({error.strerror})", where=str(path), mend="choose another")
    return path


def output(path: Path | str, *suffixes: str) -> Path:
    """A file to write, with one of the endings. Raises SP906 if its folder or its ending is wrong."""
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        fail("SP906", "has no ending that says what to write", where=str(path), mend=f"use {' or '.join(suffixes)}")
    if path.is_dir():
        fail("SP906", "is a folder", where=str(path), mend="name a file")
    folder(path.parent)
    return path


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON through a temporary name."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
