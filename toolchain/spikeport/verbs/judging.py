"""The samples on which the integers of a network are judged, and what each of them should answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.engine.devices import Runner
from spikeport.findings import Finding
from spikeport.graph import Array, Graph, Samples
from spikeport.target import Request
from spikeport.verbs.load import Data, load_data
from spikeport.verbs.own_files import has_part, is_own

JUDGED = 2000  #: samples on which accuracies are measured
FEW = 300  #: validation samples of a data set that are too few to measure them


def answers_of(judged: Data, graph: Graph, simulate: Runner) -> tuple[Array, tuple[Finding, ...]]:
    """The labels; without any what the real network answers, so that an accuracy is the share of same answers."""
    if judged.y is not None:
        return judged.y, ()
    outputs = simulate(graph, judged.x, Request()).outputs
    note = Finding(
        "SP238",
        "the samples have no labels; accuracies are shares of samples with the real network's answer",
        where=judged.name,
        mend="give labels: --labels FILE.npy, an array y in the .npz, or a pair (x, y)",
        severity="note",
    )
    return outputs.reshape(judged.samples, -1).argmax(1), (note,)


def judged_on(data: Any, seen: Data, graph: Graph) -> Data:
    """The samples on which accuracies are measured: validation samples where there are some, else those that were seen.

    Of a data set enough of them; whoever brings files has said what judges, however few.
    """
    named = isinstance(data, str | Path) and not is_own(str(data))
    if not named and not has_part(data, "val"):
        return spread(seen, JUDGED, graph)
    validation = load_data(data, "val", graph)
    return spread(seen if named and validation.samples < FEW else validation, JUDGED, graph)


def spread(data: Data, count: int, graph: Graph) -> Data:
    """At most ``count`` samples, evenly spread, for data sets are often sorted by class."""
    count = min(count, data.samples)
    index = np.arange(count) * data.samples // count
    few = Samples.of(graph, data.given).take(index)
    return replace(data, x=few.array, y=None if data.y is None else data.y[index], lengths=few.lengths)
