"""Where results are put: never half-written, and never into a place that cannot take them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

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


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A name in the folder of ``path`` to write to: what stands there is moved to ``path`` when the block ends well.

    Until then ``path`` stays as it was, and an exception leaves nothing behind. Names are never the same, so that two
    writers of one file do not mix: the last to end has it. Raises OSError where the folder takes no file.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.{uuid4().hex[:12]}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(OSError):  # moved away, or never written
            part.unlink()


def write_text(path: Path | str, text: str) -> None:
    """Write text as UTF-8; the file appears whole."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def plain(value: Any) -> Any:
    """What JSON says of a value: of a result by its own ``as_dict``, else of a dataclass by its fields.

    Left out are fields that ``repr`` leaves out. Tuples and arrays become lists, numpy's numbers Python's, paths text.
    """
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value) if item.repr}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def write_json(path: Path | str, value: Any) -> None:
    """Write what is `plain` of a value as JSON, an entry a line; the file appears whole."""
    write_text(path, json.dumps(plain(value), indent=1) + "\n")
