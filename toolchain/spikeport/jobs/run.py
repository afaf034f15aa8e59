"""Many jobs: what is there is not run, what depends on others waits, what fails takes only its dependents along."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spikeport.findings import Finding
from spikeport.jobs.executor import Executor
from spikeport.jobs.job import Facts, Job
from spikeport.jobs.store import Store


@dataclass(frozen=True)
class Done:
    """A job that is over."""

    job: Job
    facts: Facts | None  #: None where it failed
    findings: tuple[Finding, ...] = ()  #: why it failed
    ran: bool = True  #: False where its result was there already, or where it could not begin


class Run:
    """Jobs on an executor. Iterating gives each as it ends; more may be added meanwhile.

    ``fresh``: results that were there before are removed and made again.
    """

    def __init__(self, store: Store, on: Executor, fresh: bool = False) -> None:
        self.store, self.on, self.fresh = store, on, fresh
        self.known: dict[str, Done | None] = {}  #: by key; None while it is not over
        self.waiting: dict[str, set[str]] = {}  #: the keys that a job waits for
        self.jobs: dict[str, Job] = {}
        self.turns: dict[str, int] = {}  #: as they were added, so that one chain of jobs ends before the next goes on
        self.over: deque[Done] = deque()
        self.running = 0

    def add(self, jobs: Iterable[Job]) -> None:
        """Jobs, and those whose files they read; one that is known already is not added again."""
        for job in jobs:
            if job.key in self.known:
                continue
            self.known[job.key], self.jobs[job.key] = None, job
            self.turns[job.key] = len(self.turns)
            if self.fresh:
                self.store.forget(job.key)
            elif (facts := self.store.facts(job.key)) is not None:
                self._end(Done(job, facts, ran=False))
                continue
            self.add(output.job for output in job.before)
            self.waiting[job.key] = {output.job.key for output in job.before}
            self._begin(job)

    def __iter__(self) -> Iterator[Done]:
        while self.over or self.running:
            if not self.over:
                ended = self.on.ended()
                self.running -= 1
                facts = None if ended.findings else self.store.facts(ended.job.key)
                self._end(Done(ended.job, facts, ended.findings))
            yield self.over.popleft()

    def _begin(self, job: Job) -> None:
        """Submit a job if nothing is left that it waits for."""
        ends = [self.known[key] for key in self.waiting[job.key]]
        failed = next((end for end in ends if end is not None and end.facts is None), None)
        if failed is not None:
            del self.waiting[job.key]
            why = "; ".join(f"{finding.code} {finding.what}" for finding in failed.findings)
            lacks = Finding("SP953", f"did not begin: {failed.job.name or 'what it needs'} failed", job.name, why)
            self._end(Done(job, None, (lacks,), ran=False))
        elif all(end is not None for end in ends):
            del self.waiting[job.key]
            self.running += 1
            self.on.submit(job, self.turns[job.key])

    def _end(self, done: Done) -> None:
        self.known[done.job.key] = done
        self.over.append(done)
        for key in [key for key, needs in self.waiting.items() if done.job.key in needs]:
            if key in self.waiting:
                self._begin(self.jobs[key])
