"""A sweep: the points of a plan as jobs, run in any order, and their rows, whether all are done or not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikeport.files import plain, write_json
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.jobs.axes import SEED, Point, evenly, points
from spikeport.jobs.executor import executor
from spikeport.jobs.job import Facts, Job
from spikeport.jobs.plan import Axis, Plan, Value
from spikeport.jobs.run import Done, Run
from spikeport.jobs.search import Searching
from spikeport.jobs.store import Store
from spikeport.jobs.table import Row, over_seeds
from spikeport.reading import json_file, line

SWEEP = "sweep.json"  #: the plan, its points and what failed
SHOWN = 5  #: points whose errors are told before anything runs

Chain = Callable[[Plan, Point], Mapping[str, Job]]
Tell = Callable[[Plan, Mapping[str, Facts]], dict[str, Any]]


@dataclass
class Sweep:
    """A plan in a folder. ``chain`` makes a point's jobs, ``tell`` its figures from their facts."""

    plan: Plan
    axes: Mapping[str, Axis]
    place: Path
    chain: Chain
    tell: Tell
    largest: Collection[str]  #: figures of which more is better
    points: list[Point] = field(default_factory=list)
    failures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  #: findings, by the key of a job
    ahead: int = 0  #: jobs that a search may still ask for, at most
    begun: bool = False  #: whether the plan can be run, so that the folder is its own

    def run(
        self,
        on: str,
        fresh: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
        failed: Callable[[Done], None] = lambda done: None,
    ) -> list[Row]:
        """Run what is not there yet; the rows of all points. What fails is told, and the others go on."""
        store = Store.at(self.place)
        with executor(on, store) as workers:
            run = Run(store, workers, fresh)
            steps = self._grid(run) if self.plan.search is None else self._search(run, workers.workers)
            over = 0
            try:
                for done in steps:
                    over += 1
                    if done.facts is None:
                        self.failures[done.job.key] = plain(done.findings)
                        failed(done)
                    progress(over, len(run.known) + self.ahead)
            finally:
                if self.begun:
                    self.note()
        return self.rows(lambda key: end.facts if (end := run.known.get(key)) else None)

    def _grid(self, run: Run) -> Iterator[Done]:
        self.points = list(points(self.axes))
        jobs = self._jobs(evenly(self.points))
        self.note()
        run.add(jobs)
        yield from run

    def _search(self, run: Run, workers: int) -> Iterator[Done]:
        """Trials, as many at once as there are workers; each has a point a seed, and is told their means."""
        seeds = {name: axis for name, axis in self.axes.items() if name == SEED}
        search = Searching(self.plan, {n: a for n, a in self.axes.items() if n != SEED}, self.largest, self.place)
        running: dict[int, list[Point]] = {}
        self._more({**point, **seed} for point in search.asked.values() for seed in points(seeds))
        run.add(self._jobs(self.points))
        while True:
            for number, some in list(running.items()):
                keys = [job.key for point in some for job in self.chain(self.plan, point).values()]
                if all(run.known.get(key) is not None for key in keys):
                    rows = self.rows(lambda key: end.facts if (end := run.known.get(key)) else None, some)
                    search.tell(number, over_seeds(rows)[0])
                    del running[number]
            while len(running) < workers and (asked := search.ask()) is not None:
                running[asked] = [{**search.asked[asked], **seed} for seed in points(seeds)]
                self._more(running[asked])
                self.note()
                run.add(jobs := self._jobs(running[asked]))
                self.ahead = len(jobs) * search.left()
            done = next(iter(run), None)
            if done is None and not running:
                return
            if done is not None:
                yield done

    def _more(self, some: Iterable[Point]) -> None:
        """Points of a search, which may ask for one several times."""
        for point in some:
            if point not in self.points:
                self.points.append(point)

    def _jobs(self, some: Iterable[Point]) -> list[Job]:
        """The jobs of points. Raises, before anything runs, what is wrong with some of them."""
        jobs: list[Job] = []
        problems: list[Finding] = []
        for point in some:
            try:
                jobs += self.chain(self.plan, point).values()
            except SpikeportError as error:
                problems += error.findings
        if problems:
            raise SpikeportError(list(dict.fromkeys(problems))[:SHOWN])
        return jobs

    def rows(self, facts: Callable[[str], Facts | None], some: Sequence[Point] | None = None) -> list[Row]:
        """The rows of points, of all unless said, by what is known of their jobs."""
        return [self._row(number, point, facts) for number, point in enumerate(some or self.points)]

    def _row(self, number: int, point: Point, facts: Callable[[str], Facts | None]) -> Row:
        jobs = {name: job.key for name, job in self.chain(self.plan, point).items()}
        told = {name: known for name, key in jobs.items() if (known := facts(key)) is not None}
        codes = [
            self.failures[key][0]["code"] for name, key in jobs.items() if name not in told and key in self.failures
        ]
        causes = [code for code in codes if code != "SP953"]
        state = "done" if len(told) == len(jobs) else next(iter([*causes, *codes]), "waiting")
        return Row(number, point, state, self.tell(self.plan, told), jobs)

    def there(self) -> list[Row]:
        """The rows by what lies in the folder, at any time."""
        return self.rows(cache(Store(self.place).facts))

    def note(self) -> None:
        """Write down the plan, its points and what failed."""
        self.begun = True
        known = {"plan": self.plan.model_dump(by_alias=True, exclude_none=True), "points": self.points}
        write_json(self.place / SWEEP, {**known, "failures": self.failures})


class Failure(BaseModel):
    """A finding of a job that failed."""

    model_config = ConfigDict(extra="allow")

    code: str


class Noted(BaseModel):
    """What `Sweep.note` wrote."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    points: list[dict[str, Value | None]]
    failures: dict[str, Annotated[list[Failure], Field(min_length=1)]]


def noted(place: Path) -> Noted:
    """What `Sweep.note` wrote in a folder. Raises SP967 where there is no sweep."""
    try:
        return Noted.model_validate(json_file(place / SWEEP))
    except ValidationError as error:
        one = error.errors()[0]
        what = f"{'.'.join(map(str, one['loc']))[:100]}: {one['msg'].lower()}"
    except (OSError, ValueError) as error:
        what = line(error)
    fail("SP967", f"holds no sweep ({what})", where=str(place), mend="name the folder that spikeport sweep wrote")
