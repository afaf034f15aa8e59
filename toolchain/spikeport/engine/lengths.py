"""Samples of unequal length: each one runs up to its own last step, and is read out there.

A sample of L steps is run by the network cut to its first L steps (`first_steps`), together with all others of L steps.
What lies behind its end is never computed, so that outputs, spikes, events and costs are its own on every target. In
the record each has all T steps again, with zeros behind its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import Array, Graph, Samples
from spikeport.graph.inputs import require_samples_within
from spikeport.passes.first_steps import first_steps
from spikeport.record import Record, join
from spikeport.spike_train import Train
from spikeport.target import Progress, Request, silent

Run = Callable[[Graph, Array, Request], Record]


def to_ends(run: Run, lengths: Array | None) -> Run:
    """``run``, for samples of these lengths, or for the first of them; itself where all have the same.

    Layers that are run alone are cut as the network is; one frame for all steps stays one.
    """
    if lengths is None:
        return run

    def ended(graph: Graph, samples: Array, request: Request) -> Record:
        entering = Samples(samples, graph.entry.coding)
        return run_to_ends(run, graph, replace(entering, lengths=lengths[: entering.number]), request)

    return ended


def run_to_ends(run: Run, graph: Graph, samples: Samples, request: Request) -> Record:
    """The record of ``samples``, in their order, each run as far as it goes."""
    require_samples_within(graph, samples)

    def group(steps: int, part: Samples, wishes: Request) -> Record:
        steps = min(steps, graph.timesteps)
        record = run(first_steps(graph, steps), part.during(0, steps).array, wishes)
        return up_to(record, steps, graph.timesteps)

    return in_groups(group, samples, request)


def in_groups(run: Callable[[int, Samples, Request], Record], samples: Samples, request: Request) -> Record:
    """One record of as many runs as there are lengths, its samples in their order."""
    assert samples.lengths is not None
    records: list[Record] = []
    order: list[Array] = []
    begun, done, total = time.perf_counter(), 0, samples.number
    for steps, numbers in samples.by_length():
        request.check_time(begun, done, total)
        left = None if request.seconds is None else request.seconds - (time.perf_counter() - begun)
        part = replace(samples.take(numbers), lengths=None)
        records.append(run(steps, part, replace(request, seconds=left, progress=_from(request.progress, done, total))))
        order.append(numbers)
        done += len(numbers)
    record = taken(join(records), np.argsort(np.concatenate(order)))
    return replace(record, lengths=samples.lengths, findings=(*record.findings, _said(samples.lengths)))


def _said(lengths: Array) -> Finding:
    what = f"samples of {lengths.min()} to {lengths.max()} steps: each is run, counted and read out to its own last one"
    why = "every sample begins at step 0; what lies behind its end is padding."
    return Finding("SP245", what, why=why, severity="note")


def up_to(record: Record, steps: int, whole: int) -> Record:
    """The first ``steps`` steps of a record, and nothing in those behind, of which it then has ``whole`` in all."""

    def ended(value: Array) -> Array:
        return np.concatenate([value[:steps], np.zeros((whole - steps, *value.shape[1:]), value.dtype)])

    def events(facts: Any) -> Any:
        counts = {each.name: getattr(facts, each.name) for each in fields(facts)}
        return replace(facts, **{name: ended(count) for name, count in counts.items() if isinstance(count, np.ndarray)})

    return replace(
        record,
        spike_counts={name: ended(counts) for name, counts in record.spike_counts.items()},
        trains={
            name: Train((whole, *train.shape[1:]), ended(train.bits), train.several)
            for name, train in record.trains.items()
        },
        membranes={name: ended(values) for name, values in record.membranes.items()},
        events={name: events(facts) for name, facts in record.events.items()},
    )


def taken(record: Record, numbers: Sequence[int] | Array) -> Record:
    """The samples of some numbers, all of them, in another order: what is summed over samples stays."""
    trains = {name: replace(train, bits=train.bits[:, numbers]) for name, train in record.trains.items()}
    return replace(
        record,
        outputs=record.outputs[numbers],
        further={name: values[numbers] for name, values in record.further.items()},
        trains=trains,
        membranes={name: values[:, numbers] for name, values in record.membranes.items()},
    )


def _from(progress: Progress, start: int, total: int) -> Progress:
    """The progress of a part, as that of the whole."""
    return silent if progress is silent else lambda done, _: progress(start + done, total)
