"""``spikeport compare``: where two runs of a network part, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeport.api.execute import execute, target_names
from spikeport.api.load import Data, Model, load_data, load_model
from spikeport.compare import Cause, Comparison, comparison, with_moments
from spikeport.compare import Side as Network
from spikeport.compare import causes as find_causes
from spikeport.engine import simulate
from spikeport.engine.margins import Margin, margins
from spikeport.findings import SpikeportError, fail
from spikeport.graph import LIF, Array, Graph, Loihi
from spikeport.passes.quantize import prepare
from spikeport.record import Record
from spikeport.targets import Progress as Callback
from spikeport.targets import Request, silent

WHY_SAMPLES = 256  #: causes are looked for on at most so many samples: a dozen runs of them
BLIND = ("pytorch", "onnxruntime")  #: targets that show no membranes

Side = Model | Graph | Record | Path | str


def compare(
    a: Side,
    b: Side,
    data: str | None = None,
    split: str = "test",
    limit: int | None = None,
    *,
    why: bool = True,
    membranes: bool = False,
    batch: int | None = None,
    progress: Callback = silent,
) -> Comparison:
    """Compare two runs of one network, spike for spike.

    ``a`` and ``b``: a checkpoint, .nir, .onnx, shipped model or graph, each optionally ``@target``, or a Record (also
    the path of a record.npz). ``data`` names the data set; it may be left out where both are records. ``why`` looks for
    the causes, on at most 256 samples, where both are models and their spikes differ.

    Raises SP814 where a model has no data to run on, and what loading and running raise.
    """
    sides = [_load(side) for side in (a, b)]
    graph = next((model.graph for model, _ in sides if isinstance(model, Model)), None)
    if graph is None:
        first, second = (record for record, _ in sides)
        assert isinstance(first, Record)
        assert isinstance(second, Record)
        return comparison(first, second, names=(_name(a), _name(b)), why_not="two records say what, not why")
    if data is None:
        fail("SP814", "a model needs samples to run on", where=_name(a), mend="name a data set: --data digits")
    found = load_data(data, split, graph, limit)
    request = Request(trains=True, membranes=membranes, batch=batch, progress=progress)
    records = [_run(side, target, found.x, request) for side, target in sides]
    labels = found.y if all(record.samples == found.samples for record in records) else None
    (left, _), (right, _) = sides
    causes, why_not = _causes(left, right, found, records[0], records[1]) if why else (None, "not asked for")
    judged = _margins(left, right, found.x, records[0])
    theirs = right.graph if isinstance(right, Model) else None
    result = comparison(records[0], records[1], names=(_name(a), _name(b)), labels=labels, margins=judged,
                        graph=theirs, causes=causes, why_not=why_not)  # fmt: skip
    result = replace(result, graph=graph if theirs is None else theirs)
    if result.first is None:
        return result
    known = [network(side, target) if isinstance(side, Model) else None for side, target in sides]
    return replace(result, first=with_moments(result.first, known[0], known[1], found.x))


def network(model: Model, target: str | None) -> Network:
    """A model and what runs it: its target, or our engine where that shows no membranes."""

    def run(graph: Graph, samples: Array, request: Request) -> Record:
        if (target or model.target) not in BLIND:
            return execute(replace(model, graph=graph), target, samples, request)
        return simulate(graph, samples, request)

    return Network(model.graph, run)


def _load(side: Side) -> tuple[Model | Record, str | None]:
    """What a user named, and the target behind the @."""
    if isinstance(side, Record):
        return side, None
    if isinstance(side, Model | Graph):
        return load_model(side), None
    name, target = str(side), None
    head, at, tail = name.rpartition("@")
    if at and not Path(name).exists():
        if tail not in target_names():
            fail(
                "SP501", f"there is no target {tail!r}", where=name, mend=f"choose one of: {', '.join(target_names())}"
            )
        name, target = head, tail
    if Path(name).suffix == ".npz":
        return Record.load(name), None
    return load_model(name), target


def _name(side: Side) -> str:
    if isinstance(side, Record):
        return f"record of {side.target}"
    return side.name if isinstance(side, Model) else "graph" if isinstance(side, Graph) else str(side)


def _run(side: Model | Record, target: str | None, x: Array, request: Request) -> Record:
    return side if isinstance(side, Record) else execute(side, target, x, request)


def _causes(
    a: Model | Record, b: Model | Record, data: Data, a_record: Record, b_record: Record
) -> tuple[tuple[Cause, ...] | None, str]:
    """The causes, or None and why there are none to be had."""
    if isinstance(a, Record) or isinstance(b, Record):
        return None, "a record says what a run did, not what the network is: name the model to learn why"
    if not a_record.trains or not b_record.trains:
        return None, "a run recorded no spike trains"
    left, right, records = a.graph, b.graph, (a_record, b_record)
    if isinstance(left.arithmetic, Loihi) and not isinstance(right.arithmetic, Loihi):
        left, right, records = right, left, (b_record, a_record)
    if isinstance(right.arithmetic, Loihi) and not isinstance(left.arithmetic, Loihi):
        left = prepare(left)
    count = min(WHY_SAMPLES, data.samples)
    axis = 1 if data.x.ndim == len(left.shapes[left.input]) + 2 else 0
    x, labels = np.take(data.x, range(count), axis=axis), data.y[:count]
    ours, theirs = (record.first(count) for record in records)
    try:
        return tuple(find_causes(left, right, x, simulate, labels=labels, a_record=ours, b_record=theirs)), ""
    except SpikeportError as error:
        return None, "; ".join(
            f"{found.where}: {found.what}" if found.where else found.what for found in error.findings
        )


def _margins(a: Model | Record, b: Model | Record, x: Array, a_record: Record) -> dict[str, Margin] | None:
    """A judged by B's numbers on its own spikes; only real numbers round."""
    graph = b.graph if isinstance(b, Model) else a.graph if isinstance(a, Model) else None
    if graph is None or isinstance(graph.arithmetic, Loihi) or a_record.target == "integer":
        return None
    if set(graph.nodes_of(LIF)) - set(a_record.trains):
        return None
    return margins(graph, x, a_record)
