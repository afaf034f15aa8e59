"""``spikeport compare``: where two runs of a network part, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from spikeport import preprocessing
from spikeport.comparison import Cause, Comparison, check_shares, comparison, enough, with_moments
from spikeport.comparison import causes as find_causes
from spikeport.comparison.kinds import ROUNDING, RUN
from spikeport.comparison.parity import Margins
from spikeport.engine import devices
from spikeport.engine.devices import Runner, resolve
from spikeport.engine.lengths import to_ends
from spikeport.engine.margins import margins_by_samples
from spikeport.findings import SpikeportError, fail
from spikeport.graph import LIF, Array, Graph, Loihi, Samples
from spikeport.quantisation import prepare
from spikeport.record import Record
from spikeport.target import Request, begins, shows, silent
from spikeport.verbs.clip import clipped, idle
from spikeport.verbs.execute import target_names
from spikeport.verbs.load import Data, load_data
from spikeport.verbs.own_data import Brought
from spikeport.verbs.own_files import bring, one_of
from spikeport.verbs.parameters import (
    Batch,
    Clip,
    DataName,
    Device,
    Dt,
    Frames,
    Help,
    Labels,
    Limit,
    Nir,
    On,
    Progress,
    SamplesToo,
    Split,
    Timesteps,
)
from spikeport.verbs.shards import Given
from spikeport.verbs.sides import Named, Reading, Side, in_layers, remembered, same_samples, side

SIDE = "Checkpoint, .nir, .onnx, .net, shipped model (each optionally @target), a record.npz, or NIRData."


def compare(
    a: Annotated[Named, Help(SIDE, metavar="A", place=True)],
    b: Annotated[Named, Help("The same; A is held against it.", metavar="B", place=True)],
    data: DataName = None,
    split: Split = "test",
    limit: Limit = None,
    *,
    samples: SamplesToo = None,
    labels: Labels = None,
    model_a: Annotated[Named | None, Help("The model of which A is a record.")] = None,
    model_b: Annotated[Named | None, Help("The model of which B is a record.")] = None,
    why: Annotated[bool, Help("Look for the causes.")] = True,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    clip: Clip = False,
    membranes: Annotated[bool, Help("Compare membranes too.")] = False,
    max_spike_mismatch: Annotated[int | None, Help("Gate: spikes that may differ.", least=0)] = None,
    max_accuracy_drop: Annotated[float | None, Help("Gate: share of accuracy B may lose, 0 to 1.")] = None,
    min_agreement: Annotated[float | None, Help("Gate: share of same answers, 0 to 1.")] = None,
    out: Annotated[Path | str | None, Help("Folder for comparison.json and report.html.")] = None,
    device: Device = "cpu",
    on: On = "here",
    batch: Batch = None,
    progress: Progress = silent,
) -> Comparison:
    """Where two runs of one network part: every spike, the first difference, and why.

    Exit status 1 if a gate is not met.

    In Python: ``a`` and ``b``: a checkpoint, .nir, .onnx, .net, shipped model or graph, each optionally ``@target``,
    or a Record (also the path of a record.npz, or another tool's NIRData, whose events come in steps of ``dt``).
    ``data`` is whatever `load_data` takes, and ``samples`` 0.1's word for it. Where both sides are records there need
    be none; margins and causes then come from the model and the input files that the records remember, if these are
    still here, or from ``model_a`` and ``model_b`` and the data given. ``why`` looks for the causes, on at most 256
    samples, of large networks on fewer, where both networks are known and their spikes differ. ``on`` shares the
    samples of both runs out, see `execute_on`. ``clip`` cuts off, for both, what lies beyond what the integers of one
    were made for.
    ``device`` computes all of it, but for a side that names its own: ``model.int.nir@integer,device=cuda``.

    Raises SP816 for a gate that is no share between 0 and 1, SP814 where a model has no samples to run on, SP815 where
    a record ran others than those given, and what loading and running raise.

    Examples:

        spikeport compare model.safetensors model.int.nir --data digits

        spikeport compare model.int.nir model.int.nir@lava --data digits --limit 32 --max-spike-mismatch 0
    """
    check_shares(max_accuracy_drop=max_accuracy_drop, min_agreement=min_agreement)
    given = one_of(data, samples)
    given = None if given is None else bring(given, dt, split, limit)
    reading = Reading(dt=dt, nir=nir, timesteps=timesteps, frames=frames, data=given)
    sides = in_layers((side(a, model_a, **reading), side(b, model_b, **reading)))
    if frames and timesteps is None and given is not None:
        sides = (sides[0].as_long_as(given), sides[1].as_long_as(given))
    graph = _reader(sides)
    entering = None if given is None or graph is None else load_data(given, split, graph, limit, labels)
    if clip and entering is not None:
        entering = clipped(entering, *(each.graph for each in sides if each.graph is not None))
    compared = _compared(
        sides,
        given,
        entering,
        why,
        on,
        Request(trains=True, membranes=membranes, device=device, batch=batch, progress=progress),
    )
    if clip and entering is None:
        compared = replace(compared, findings=(*compared.findings, idle("no samples were given for a known network")))
    failed = tuple(compared.failures(max_spike_mismatch, max_accuracy_drop, min_agreement))
    asked = {
        "max_spike_mismatch": max_spike_mismatch,
        "max_accuracy_drop": max_accuracy_drop,
        "min_agreement": min_agreement,
    }
    gates = {name: limit for name, limit in asked.items() if limit is not None}
    compared = replace(compared, gates=gates, failed=failed)
    if out is not None:
        from spikeport.verbs.report import write_comparison

        write_comparison(compared, out)
    return compared


def _compared(
    sides: tuple[Side, Side], data: Any, entering: Data | None, why: bool, on: str, request: Request
) -> Comparison:
    x, answers = _samples(sides, data, entering)
    for each in sides:
        if x is not None:
            same_samples(each, x)
        elif each.record is None:
            fail(
                "SP814",
                "a model needs samples to run on",
                where=each.name,
                mend="name them: --data digits, or --data FILE.npy",
            )
    nothing = np.zeros(0)
    left, right = sides
    records = (left.run(nothing if x is None else x, request, on), right.run(nothing if x is None else x, request, on))
    if answers is not None and any(record.samples != len(answers) for record in records):
        answers = None
    begins(request.progress, "looking for causes")
    run = devices.on(resolve(request.device)[0])
    causes, why_not = _causes(left, right, x, answers, records, run) if why else (None, "not asked for")
    whole = _rounds_not(left, records[0]), _rounds_not(right, records[1])
    judges_b = whole == (False, True) or (right.graph is None and not any(whole))
    judged: Literal["a", "b"] = "b" if judges_b else "a"
    result = comparison(
        records[0],
        records[1],
        names=(left.name, right.name),
        labels=answers,
        margins=None if x is None else _margins(left, right, x, records[judges_b], whole, request.device),
        judged=judged,
        exact=all(whole),
        quantised="" if whole[0] == whole[1] else left.name if whole[0] else right.name,
        graph=right.graph,
        causes=causes,
        why_not=why_not,
    )
    told = () if entering is None else entering.findings
    network = _reader(sides) if right.graph is None else right.graph
    result = replace(result, graph=network, findings=(*told, *result.findings))
    if (result.parity.mismatches_above_rounding or 0) and [cause.name for cause in causes or ()] == [ROUNDING.name]:
        result = replace(
            result, causes=tuple(replace(each, title=RUN.title, advice=RUN.advice) for each in causes or ())
        )
    if result.first is None or x is None:
        return result
    return replace(result, first=with_moments(result.first, left.network, right.network, x))


def _reader(sides: tuple[Side, Side]) -> Graph | None:
    """The graph for which data are read: one that says how its samples are prepared. Raises SP398 where two differ."""
    known = [each.graph for each in sides if each.graph is not None]
    say = [(graph, how) for graph in known if (how := preprocessing.of(graph.provenance)) is not None]
    if len(say) == 2 and replace(say[0][1], source="") != replace(say[1][1], source=""):
        where = " and ".join(each.name for each in sides)
        fail(
            "SP398", "the two take samples that are prepared otherwise", where=where, mend="compare one network's runs"
        )
    return next((graph for graph, _ in say), known[0] if known else None)


def _samples(sides: tuple[Side, Side], data: Any, entering: Data | None) -> tuple[Given | None, Array | None]:
    """The samples of the comparison, and their labels; None where they are not known."""
    if entering is not None:
        return entering.given, entering.y
    if isinstance(data, Brought):
        return data.x, None
    return remembered(sides), None


def _causes(
    left: Side, right: Side, samples: Given | None, labels: Array | None, records: tuple[Record, Record], run: Runner
) -> tuple[tuple[Cause, ...] | None, str]:
    """The causes, or None and what it would take to have them."""
    a, b = left.graph, right.graph
    if a is None or b is None:
        unknown = [(each, flag) for each, flag in ((left, "--model-a"), (right, "--model-b")) if each.graph is None]
        return None, " ".join(f"{each.name}: {each.lacks}; name it with {flag} to learn why." for each, flag in unknown)
    if samples is None:
        return None, "the samples of the run are not here: name them with --data to learn why"
    missing = sorted(set(b.nodes_of(LIF)) - set(records[0].trains) & set(records[1].trains))
    if missing or not all(record.trains for record in records):
        return None, f"a run recorded no spike trains of {', '.join(missing) or 'any layer'}"
    if isinstance(a.arithmetic, Loihi) and not isinstance(b.arithmetic, Loihi):
        a, b, records = b, a, (records[1], records[0])
    if isinstance(b.arithmetic, Loihi) and not isinstance(a.arithmetic, Loihi):
        a = prepare(a, b.arithmetic.profile)
    count = enough(b)
    answers = None if labels is None else labels[:count]
    ours, theirs = (record.first(count) for record in records)
    try:
        few = Samples.of(b, samples).first(count)
        run = to_ends(run, few.lengths)
        return tuple(find_causes(a, b, few.array, run, labels=answers, a_record=ours, b_record=theirs)), ""
    except SpikeportError as error:
        return None, "; ".join(
            f"{finding.where}: {finding.what}" if finding.where else finding.what for finding in error.findings
        )


def _whole(record: Record) -> bool:
    """Whether the numbers of a run never rounded, as its target says; one that is not here any more says nothing."""
    return record.target in target_names() and "integers" in shows(record.target)


def _rounds_not(side: Side, record: Record) -> bool:
    """Whether a run is in integers, which do not round."""
    return _whole(record) if side.graph is None else isinstance(side.graph.arithmetic, Loihi)


def _margins(
    left: Side, right: Side, x: Given, record: Record, whole: tuple[bool, bool], device: str
) -> Margins | None:
    """The judged record by the numbers of the other, on its own spikes: A by B's network, B where only A's is known.

    Where one of the two is in integers, it is judged, by the real numbers.
    """
    if all(whole):
        return None
    real = left if whole[1] else right
    graph = real.graph if any(whole) or real.graph is not None else left.graph
    if graph is None or isinstance(graph.arithmetic, Loihi) or set(graph.nodes_of(LIF)) - set(record.trains):
        return None
    return margins_by_samples(graph, x, record, resolve(device)[0])
