"""A job: a function and everything that its result depends on, which together are its name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.files import sha256
from spikeport.findings import fail

Facts = Mapping[str, Any]  #: what JSON can say of a result


@dataclass(frozen=True)
class File:
    """A file that a job reads: its content counts, not its place."""

    path: Path


@dataclass(frozen=True)
class Output:
    """A file that another job writes."""

    job: Job
    name: str


@dataclass(frozen=True)
class Needs:
    """What a job takes of a machine while it runs."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0  #: bytes; 0: no more than what its share of the machine has


@dataclass(frozen=True, eq=False)
class Job:
    """``call(place, **options)`` writes files into the folder ``place`` and returns its facts, as JSON can say them.

    It is a pure function: the same options and content give the same facts and files, on every machine. `File` and
    `Output` among the options reach the call as paths. ``content`` is what else the result depends on: data, versions.
    ``carried`` are options that ``content`` speaks for, such as a network in memory.
    """

    call: Callable[..., Facts]  #: a function at the top of a module
    options: Mapping[str, Any] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)
    carried: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""  #: for people
    needs: Needs = Needs()

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """All that its name is made of, as JSON has it. Raises SP950 for a call or a value that has no content."""
        home, name = self.call.__module__, self.call.__qualname__
        if "<" in name or home == "__main__":
            fail("SP950", f"the function {home}.{name} cannot be found by another process", mend="put it into a module")
        return {"call": f"{home}:{name}", "options": content(self.options), "content": content(self.content)}

    @cached_property
    def key(self) -> str:
        """Its name: SHA-256 of `said`, in hex."""
        return hashlib.sha256(json.dumps(self.said, sort_keys=True).encode()).hexdigest()

    @property
    def before(self) -> Iterator[Output]:
        """The files of other jobs that it reads."""
        return (value for value in self.options.values() if isinstance(value, Output))


def content(value: Any) -> Any:
    """A value by its content: files and arrays by their SHA-256, the files of other jobs by those jobs' names."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, File):
        return {"file": _digest(value.path, value.path.stat().st_mtime_ns, value.path.stat().st_size)}
    if isinstance(value, Output):
        return {"job": value.job.key, "file": value.name}
    if isinstance(value, np.ndarray):
        data = hashlib.sha256(np.ascontiguousarray(value).view(np.uint8).data).hexdigest()
        return {"array": data, "type": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): content(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [content(entry) for entry in value]
    fail("SP950", f"a job cannot be named by a {type(value).__name__}", mend="give its content: numbers, text, File")


@cache
def _digest(path: Path, changed: int, size: int) -> str:
    return sha256(path)
