"""What runs jobs: one small protocol, and the word after ``--on`` that chooses."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

from spikeport import ending
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.jobs.job import Job
from spikeport.jobs.store import Store

WORD = re.compile(r"(here|processes|ray)(?::(\d+))?|(ray://\S+)")


@dataclass(frozen=True)
class Ended:
    """A job that ran: its result is in the store, or these are the reasons why not."""

    job: Job
    findings: tuple[Finding, ...] = ()


class Queue:
    """Jobs that wait, those of earlier turns first; of one turn as they came."""

    def __init__(self) -> None:
        self.jobs: list[tuple[int, int, Job]] = []
        self.numbers = itertools.count()

    def add(self, job: Job, turn: int) -> None:
        bisect.insort(self.jobs, (turn, next(self.numbers), job))

    def first(self) -> Job:
        """Take the first one out."""
        return self.jobs.pop(0)[2]

    def remove(self, job: Job) -> None:
        self.jobs = [each for each in self.jobs if each[2] is not job]

    def __iter__(self) -> Iterator[Job]:
        return (job for _, _, job in self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)


class Executor(Protocol):
    """Runs jobs whose inputs are in the store. Used as a context: when it ends, everything that still runs is ended."""

    @property
    def workers(self) -> int:
        """How many jobs of one CPU run at the same time."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def submit(self, job: Job, turn: int = 0) -> None:
        """Take a job; it begins when there is room for it, before those of later turns."""

    def ended(self) -> Ended:
        """Wait until one of the jobs that were taken ends. Never raises what a job raises."""


def executor(on: str, store: Store) -> Executor:
    """What ``here``, ``processes:4``, ``ray`` (a cluster of this machine), ``ray:4`` or ``ray://…`` name.

    Raises SP951 for another word, SP955 where Ray is not installed.
    """
    match = WORD.fullmatch(on)
    if match is None or match[2] == "0" or (match[1] == "here" and match[2]):
        fail("SP951", f"nothing runs jobs on {on!r}", mend="write here, processes, processes:4, ray, ray:4 or ray://…")
    kind, number, address = match.groups()
    count = int(number) if number else None
    if kind == "here":
        from spikeport.jobs.here import Here

        return Here(store)
    if kind == "processes":
        from spikeport.jobs.processes import Processes

        return Processes(store, count)
    from spikeport.jobs.on_ray import OnRay

    return OnRay(store, count, address)


def attempt(job: Job, perform: Callable[[Job], object]) -> tuple[Finding, ...]:
    """Run a job; why it failed, or nothing."""
    try:
        perform(job)
    except SpikeportError as error:
        return error.findings
    except BaseException as error:  # a plug-in's own may be no Exception
        if ending.asked(error) or isinstance(error, SystemExit):
            raise
        return (unforeseen(job, error),)
    return ()


def unforeseen(job: Job, error: BaseException) -> Finding:
    """SP952: a job ended with an exception that has no code."""
    text = str(error).strip().splitlines() or [""]
    return Finding("SP952", f"{type(error).__name__}: {text[-1][:300]}", where=job.name or job.key[:12])
