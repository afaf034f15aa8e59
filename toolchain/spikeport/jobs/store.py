"""Where results lie: a folder a job, which appears whole and is named by the job's content.

    results/ab/abcd…/result.json   what was asked, the facts, and the hash of every file beside it
    clocks/ab/abcd….json           when, where and how long: outside the content
    unfinished/*.part              being written; not a result

Any number of processes and machines may share the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from spikeport.files import folder, plain, replacing, sha256, write_text
from spikeport.findings import fail
from spikeport.jobs import scratch
from spikeport.jobs.job import Facts, File, Job, Output
from spikeport.reading import json_file

RESULT = "result.json"
UNFINISHED = "unfinished"
CLOCKS = "clocks"


class Result(BaseModel):
    """What is read of a result file; pydantic's ValidationError is a ValueError."""

    files: dict[str, str]  #: hashes by name
    facts: dict[str, Any]


class Clock(BaseModel):
    """What is read of a clock."""

    seconds: float


def _within(place: Path, name: str) -> Path:
    """A file in a folder. Raises ValueError for what lies elsewhere, or is no file."""
    path = (place / name).resolve()
    if not path.is_relative_to(place.resolve()) or not path.is_file():
        raise ValueError(f"{name[:60]!r} is no file of this result")
    return path


@dataclass(frozen=True)
class Store:
    """Results in a folder, by the names of their jobs."""

    place: Path

    @classmethod
    def at(cls, place: Path | str) -> Store:
        """The store in a folder, made if need be; what dead writers on this machine left half-written is removed.

        Raises SP906 where the folder cannot be.
        """
        store = cls(folder(place))
        store.clean()
        return store

    def clean(self) -> None:
        """Remove what dead writers on this machine left half-written."""
        scratch.clean(self.place / UNFINISHED, "*")
        scratch.clean(self.place / CLOCKS, "*/*")

    def folder(self, key: str) -> Path:
        """Where the result of a job lies, or would."""
        return self.place / "results" / key[:2] / key

    def facts(self, key: str) -> Facts | None:
        """The facts of a result; None where there is none, or where it is damaged."""
        place = self.folder(key)
        try:
            result = Result.model_validate(json_file(place / RESULT))
            whole = all(sha256(_within(place, name)) == digest for name, digest in result.files.items())
        except (OSError, ValueError):
            return None
        return result.facts if whole else None

    def file(self, output: Output) -> Path:
        """A file that a finished job wrote. Raises SP954 where it is not there."""
        path = self.folder(output.job.key) / output.name
        if not path.is_file():
            fail("SP954", f"the job {output.job.name!r} wrote no {output.name}", where=str(self.place))
        return path

    def forget(self, key: str) -> None:
        """Remove a result: from now on it is not there."""
        place = self.folder(key)
        aside = scratch.part(folder(self.place / UNFINISHED) / key)
        with suppress(FileNotFoundError):
            os.rename(place, aside)
            shutil.rmtree(aside, ignore_errors=True)

    def perform(self, job: Job) -> None:
        """Run a job and keep its result, which is there as a whole or not at all. Raises what the job raises."""
        begun, clock = time.time(), time.perf_counter()
        with self.writing(job.key) as place:
            write_text(place / RESULT, self.fill(job, place))
        self.clock(job.key, {"begun": begun, "seconds": time.perf_counter() - clock, "host": socket.gethostname()})

    def fill(self, job: Job, place: Path) -> str:
        """Run a job in a folder; returns the text of its result file, not yet written. Raises what the job raises."""
        options = {name: self._there(value) for name, value in job.options.items()}
        facts = plain(job.call(place, **options, **job.carried))
        files = {str(path.relative_to(place)): sha256(path) for path in sorted(place.rglob("*")) if path.is_file()}
        return json.dumps({**job.said, "facts": facts, "files": files}, indent=1, sort_keys=True) + "\n"

    def take(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Keep the result of a job that ran elsewhere: all its files, by name."""
        with self.writing(job.key) as place:
            for name, data in files.items():
                path = place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def clock(self, key: str, about: Mapping[str, Any]) -> None:
        """Note when, where and how long a job ran, beside its result."""
        with replacing(folder(self.place / CLOCKS / key[:2]) / f"{key}.json", sync=False) as part:
            part.write_text(json.dumps(about) + "\n", encoding="utf-8")

    def seconds(self, key: str) -> float:
        """How long a job ran; 0 where nobody noted it."""
        try:
            return Clock.model_validate(json_file(self.place / CLOCKS / key[:2] / f"{key}.json")).seconds
        except (OSError, ValueError):
            return 0.0

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A folder to fill, which becomes the result when the block ends well; another's that came first stays."""
        place = self.folder(key)
        part = folder(scratch.part(self.place / UNFINISHED / key))
        try:
            yield part
            if self.facts(key) is None:
                self.forget(key)  # what is there is damaged
                folder(place.parent)
                with suppress(OSError):  # another writer of the same content came first
                    os.rename(part, place)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _there(self, value: Any) -> Any:
        return self.file(value) if isinstance(value, Output) else value.path if isinstance(value, File) else value
