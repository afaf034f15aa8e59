"""A run shared out: a data set in shards, each a job, and the record that one run would have given."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spikeport import jobs
from spikeport.engine.resume import digest
from spikeport.findings import SpikeportError
from spikeport.graph import Array, Loihi, Samples
from spikeport.graph.inputs import require_samples_within
from spikeport.process import most_memory
from spikeport.record import Record, join
from spikeport.target import Progress, Request, silent, target
from spikeport.verbs.doctor import versions
from spikeport.verbs.execute import execute, part
from spikeport.verbs.load import Model

Given = Array | Samples  #: the latter where they have lengths
SHARDS = "shards"  #: folder of finished shards in the folder that a run keeps
RECORD = "record.npz"
BLOCK = 64  #: samples: a shard of real numbers is a multiple of it, since products of single samples round otherwise


def execute_on(
    on: str, model: Model, name: str | None, samples: Given, request: Request, out: Path | str | None = None
) -> Record:
    """As `execute`, the samples shared out among the workers that ``on`` names; ``here`` runs them as one.

    The record is the one of a single run but for its seconds, which are those of all workers together: in integers to
    the bit, in real numbers as far as products round alike whatever the number of samples at once. Finished shards
    stay in ``out`` and are not run again; without it they are gone in the end.

    Raises SP951 for an ``on`` that is none, SP955 for a cluster that is not there, SP956 where workers end,
    and what `execute` raises.
    """
    if on == "here":
        return execute(model, name, samples, request)
    return join([record for _, record in runs_on(on, model, name, samples, request, out=out)])


def runs_on(
    on: str,
    model: Model,
    name: str | None,
    samples: Given,
    request: Request,
    size: int | None = None,
    out: Path | str | None = None,
) -> Iterator[tuple[Given, Record]]:
    """The samples and the record of each shard, in order, at most ``size`` samples; where ``on`` is here one by one."""
    entering = Samples.of(model.graph, samples)
    require_samples_within(model.graph, entering)
    if on == "here":
        for start in range(0, entering.number, size or entering.number):
            x = entering.cut(start, start + (size or entering.number)).given
            yield x, execute(model, name, x, replace(request, progress=_from(request.progress, start, entering.number)))
        return
    name = name or model.target
    with _store(out) as store, jobs.executor(on, store) as workers:
        ends = cuts(model, entering.number, workers.workers, part(model, name), size)
        shards = [entering.cut(a, b).given for a, b in ends]
        todo = [_job(model, name, x, _limited(request, name, workers.workers)) for x in shards]
        _run(jobs.Run(store, workers), todo, request, entering.number)
        for job, x in zip(todo, shards, strict=True):
            yield x, Record.load(store.file(jobs.Output(job, RECORD)))


def cuts(model: Model, total: int, workers: int, about: int, most: int | None = None) -> list[tuple[int, int]]:
    """Where shards begin and end: as many for each worker, of about ``about`` samples, at most ``most``.

    In real numbers of a multiple of BLOCK.
    """
    rounds = max(1, round(total / (workers * about)))
    size = min(-(-total // (workers * rounds)), most or total)
    if not isinstance(model.graph.arithmetic, Loihi):
        size = min(-(-size // BLOCK) * BLOCK, total)
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def shard(
    place: Path, target: str, asked: Mapping[str, Any], *, model: Model, samples: Given, limits: Mapping[str, Any]
) -> dict[str, int]:
    """The job: run some samples and keep their record."""
    record = execute(model, target, samples, Request(**asked, **limits))
    record.save(place / RECORD)
    return {"samples": record.samples}


def _job(model: Model, name: str, x: Given, request: Request) -> jobs.Job:
    asked = {each: getattr(request, each) for each in ("trains", "membranes", "events", "batch", "device")}
    limits = {each: getattr(request, each) for each in ("seconds", "memory")}
    module = model.module if name == "pytorch" else None
    content: dict[str, Any] = {"model": digest(model.graph), "kind": model.kind, "samples": x}
    content["versions"] = versions_of(name)
    if isinstance(x, Samples):
        content |= {"samples": x.array, "lengths": x.lengths}
    return jobs.Job(
        shard,
        {"target": name, "asked": asked},
        content,
        {"model": replace(model, module=module), "samples": x, "limits": limits},
        f"{model.name} on {name}",
        jobs.Needs(memory=request.memory or 0),
    )


def versions_of(name: str) -> dict[str, str]:
    """The versions that a run on a target depends on."""
    own = {} if name == "pytorch" else {name: target(name).availability().version}
    return {each: text for each, text in versions().items() if each in ("spikeport", "torch", "numpy", "numba")} | own


def _limited(request: Request, name: str, workers: int) -> Request:
    """The request for one of several workers: they share the memory where a target's runs have a limit of it."""
    if name == "pytorch" or request.memory is not None or not getattr(target(name), "limits_memory", False):
        return request
    return replace(request, memory=most_memory() // workers)


def _run(run: jobs.Run, todo: list[jobs.Job], request: Request, total: int) -> None:
    """Run all shards; raises what the first one that fails raises, and SP512 past the time limit."""
    begun, done = time.perf_counter(), 0
    run.add(todo)
    for each in run:
        if each.facts is None:
            raise SpikeportError(each.findings)
        done += each.facts["samples"]
        request.check_time(begun, done, total)
        request.progress(done, total)


@contextmanager
def _store(out: Path | str | None) -> Iterator[jobs.Store]:
    if out is not None:
        yield jobs.Store.at(Path(out) / SHARDS)
        return
    with TemporaryDirectory(prefix="spikeport-shards-") as place:
        yield jobs.Store.at(place)


def _from(progress: Progress, start: int, total: int) -> Progress:
    """The progress of a part, as that of the whole."""
    return silent if progress is silent else lambda done, _: progress(start + done, total)
