"""Jobs one after the other, in this process."""

from __future__ import annotations

from typing import Self

from spikeport.jobs.executor import Ended, Queue, attempt
from spikeport.jobs.job import Job
from spikeport.jobs.store import Store


class Here:
    """The executor that is always there."""

    workers = 1

    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs = Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.jobs = Queue()

    def submit(self, job: Job, turn: int = 0) -> None:
        self.jobs.add(job, turn)

    def ended(self) -> Ended:
        job = self.jobs.first()
        return Ended(job, attempt(job, self.store.perform))
