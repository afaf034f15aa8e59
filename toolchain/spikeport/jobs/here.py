"""Jobs one after the other, in this process."""

from __future__ import annotations

from collections import deque
from typing import Self

from spikeport.jobs.executor import Ended, attempt
from spikeport.jobs.job import Job
from spikeport.jobs.store import Store


class Here:
    """The executor that is always there."""

    workers = 1

    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs: deque[Job] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.jobs.clear()

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def ended(self) -> Ended:
        job = self.jobs.popleft()
        return Ended(job, attempt(job, self.store.perform))
