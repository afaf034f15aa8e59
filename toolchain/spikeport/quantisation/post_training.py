"""Post-training quantisation: a trained graph to integers, one step after the other, each with its effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import LOIHI2, Array, Graph, Peak, Profile, Readout, Synapse
from spikeport.graph.accumulators import beyond, wide_sums
from spikeport.graph.samples import Samples
from spikeport.nearest import choose
from spikeport.quantisation.bias import bias
from spikeport.quantisation.collapse_schedule import Collapse, collapse_schedule
from spikeport.quantisation.decay import decay
from spikeport.quantisation.inputs import input_grid
from spikeport.quantisation.joint import joint
from spikeport.quantisation.layers import find_layers, message_findings
from spikeport.quantisation.mantissa import SIGN_MODES, SignMode, mantissa_for
from spikeport.quantisation.normalise import normalise
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.prepared import doubled_synapses, merged_synapses, prepare, raised_thresholds
from spikeport.quantisation.ranges import RANGE_METHODS, RangeMethod, ranges
from spikeport.quantisation.rounding import rounding, shortened
from spikeport.quantisation.split import split
from spikeport.quantisation.sweep import Calibration, Run, batch_size
from spikeport.quantisation.thresholds import thresholds
from spikeport.record import Record
from spikeport.target import Progress, Request, silent
from spikeport.told import Told

Step = Callable[[Plan, Calibration], Plan]

#: Every step that can be switched off, in the order in which they run.
STEPS = ("normalise", "joint", "ranges", "rounding", "decay", "bias", "thresholds")
#: These and the steps that are only taken on request, in the order in which they run.
ALL_STEPS = ("normalise", "joint", "ranges", "rounding", "split", "decay", "bias", "thresholds")


SPARE = 4  #: bits that a layer may give up to keep its sums within 24


@dataclass(frozen=True, repr=False)
class Quantised(Told):
    """What quantisation made, and how."""

    graph: Graph  #: Loihi arithmetic
    findings: tuple[Finding, ...]
    report: Mapping[str, Any]  #: what each step did, JSON values
    plan: Plan  #: the real graph as adjusted, and the format of each layer
    calibration: Calibration = field(repr=False)


def quantize(
    graph: Graph,
    calibration: Array | Samples,
    profile: Profile = LOIHI2,
    weight_bits: int | Mapping[str, int] = 8,
    *,
    run: Run,
    ranges: RangeMethod = "mse",
    signs: SignMode = "mixed",
    steps: Sequence[str] = STEPS,
    collapse_thresholds: Collapse | None = None,
    progress: Progress = silent,
) -> Quantised:
    """Turn a graph of real numbers into one of the profile's integers.

    ``calibration``: training samples as the graph takes them, [B, *input], or [T, B, *input] for events; `Samples` if
    they have lengths, up to which ``run`` takes each (`engine.lengths.to_ends`). ``weight_bits``: of every synapse, or
    of each by name. ``run`` executes a graph (`spikeport.engine.simulate`).
    ``steps``: those of ALL_STEPS to take; each one's effect on a part of the calibration samples is in the report; a
    step that makes the result worse there is taken back. ``collapse_thresholds``: one threshold for all steps, by the
    rule of this name (`collapse_schedule`). Deterministic.

    Raises SP400 for options that cannot be, SP401 for calibration data without content, SP410 for layers without
    weights, SP414 for thresholds and SP418 for biases beyond the format, SP419 for a network that never fires, and what
    the folding passes raise (SP35x).
    """
    _check(profile, weight_bits, ranges, steps, signs)
    real = prepare(graph, profile)
    findings: list[Finding] = []
    if collapse_thresholds is not None:
        channels = profile.channel_thresholds
        values = calibration.array if isinstance(calibration, Samples) else calibration
        real, more = collapse_schedule(real, collapse_thresholds, samples=values, run=run, channels=channels)
        findings += more
    plan, more = first_plan(real, calibration, profile, weight_bits, signs)
    findings += more
    raise_errors([*findings, *plan.build()[1]])
    seen = Calibration.of(run, real, calibration)
    findings += [*merged_synapses(graph, real), *doubled_synapses(graph, real), *raised_thresholds(real)]
    findings += silent_layers(seen.reference, read=real.nodes_of(Peak))
    findings += _fewer(calibration, seen, real)
    findings += shortened(plan) if "rounding" in steps else []
    raise_errors(findings)
    plan = with_room(plan, seen)
    plan, effects = refined(plan, seen, ranges, steps, progress)
    plan = with_room(plan, seen)
    integers, more = plan.build()
    raise_errors(findings := [*findings, *dict.fromkeys(more)])
    assert integers is not None
    findings += wide_sums(integers)
    findings += _overflows(seen.run(integers, seen.samples.array, Request(batch=batch_size(integers))))
    report = {
        "profile": profile.name,
        "weight_bits": plan.bits,
        "signs": plan.signs,
        "ranges": ranges,
        "calibration_samples": int(seen.reference.samples),
        "steps": effects,
    }
    return Quantised(integers, tuple(findings), report, plan, seen)


def first_plan(
    real: Graph,
    samples: Array | Samples,
    profile: Profile,
    weight_bits: int | Mapping[str, int],
    signs: SignMode = "mixed",
) -> tuple[Plan, tuple[Finding, ...]]:
    """The plainest plan for a prepared graph."""
    values = samples.own if isinstance(samples, Samples) else samples
    grid, findings = input_grid(real.entry, values, profile, real.input)
    most = profile.weight_bits

    def bits(name: str) -> int:
        return weight_bits if isinstance(weight_bits, int) else weight_bits.get(name, most)

    mantissas = {
        name: mantissa_for(node.weight, bits(name), signs, name) for name, node in real.nodes_of(Synapse).items()
    }
    layers = find_layers(real, grid, profile.channel_thresholds)
    return Plan.first(real, grid, layers, profile, mantissas), (*findings, *message_findings(layers, profile))


def with_room(plan: Plan, seen: Calibration) -> Plan:
    """Give layers one bit after another, up to SPARE.

    Those whose sums or membranes overflow on the calibration samples, and whose sums could leave an accumulator on any.
    """
    for _ in range(SPARE):
        integers, _ = plan.build()
        if integers is None:
            return plan
        over = seen.run(integers, seen.samples.array, Request(batch=batch_size(integers))).overflows
        narrow = {*over, *beyond(integers)}
        layers = [layer.name for layer in plan.layers if narrow.intersection(layer.sinks)]
        if not layers:
            return plan
        plan = plan.with_(spare={**plan.spare, **{name: plan.spare.get(name, 0) + 1 for name in layers}})
    return plan


def refined(
    plan: Plan, seen: Calibration, method: RangeMethod, names: Sequence[str], progress: Progress = silent
) -> tuple[Plan, list[dict[str, Any]]]:
    """Take the steps named, measure each, and take back those that make the result worse.

    Worse: the product of output error and spike mismatch grows, that is, one grows by a larger factor than the other
    falls. Either alone is a noisy judge of a step on few samples.
    """
    steps: dict[str, Step] = {
        "normalise": normalise,
        "joint": joint,
        "ranges": partial(ranges, method=method),
        "rounding": rounding,
        "split": split,
        "decay": decay,
        "bias": bias,
        "thresholds": thresholds,
    }
    before = measure(plan, seen)
    effects: list[dict[str, Any]] = [{"step": "none", "kept": True, "seconds": 0.0, **before}]
    taken = [name for name in ALL_STEPS if name in names]
    for index, name in enumerate(taken):
        progress(index, len(taken))
        begun = time.perf_counter()
        candidate = steps[name](plan, seen)
        after = measure(candidate, seen)
        kept = _badness(after) <= _badness(before)
        effects.append({"step": name, "kept": kept, "seconds": round(time.perf_counter() - begun, 3), **after})
        if kept:
            plan, before = candidate, after
    progress(len(taken), len(taken))
    return plan, effects


def _badness(measured: Mapping[str, float]) -> float:
    return (measured["output_error"] + 1e-9) * (measured["spike_mismatch"] + 1e-9)


def measure(plan: Plan, seen: Calibration) -> dict[str, float]:
    """How far a plan's integers are from the real network on the calibration samples.

    `output_error`: root mean square difference of the outputs over their root mean square, of several outputs the
    largest. `spike_mismatch`: share of all spikes that differ, between 0 and 1. `argmax_agreement`: share of samples
    with the same largest output, of several outputs the first.
    """
    integers, _ = plan.build()
    if integers is None:
        return {"output_error": float("inf"), "spike_mismatch": 1.0, "argmax_agreement": 0.0}
    record = seen.run(integers, seen.samples.array, Request(trains=True, batch=batch_size(integers)))
    outputs = {name: _in_real_units(integers, record, name) for name in integers.outputs}
    wanted = {name: seen.reference.output_of(name).reshape(record.samples, -1).astype(np.float64) for name in outputs}
    a, b = wanted[integers.output], outputs[integers.output]
    trains = seen.reference.trains
    differ = sum(sum(train.beside(record.trains[name])) for name, train in trains.items())
    neurons = sum(int(np.prod(train.shape[2:])) for train in trains.values())
    compared = neurons * seen.own(np.empty((integers.timesteps, record.samples))).size
    return {
        "output_error": max(_error(wanted[name], outputs[name]) for name in outputs),
        "spike_mismatch": differ / max(compared, 1),
        "argmax_agreement": float(np.mean(a.argmax(1) == b.argmax(1))),
    }


def _in_real_units(integers: Graph, record: Record, name: str) -> Array:
    node = integers[name]
    unit = float(node.unit) if isinstance(node, Readout | Peak) else 1.0
    return np.asarray(record.output_of(name).reshape(record.samples, -1) * unit)


def _error(a: Array, b: Array) -> float:
    return float(np.sqrt(np.square(a - b).mean())) / (float(np.sqrt(np.square(a).mean())) or 1.0)


def silent_layers(record: Record, read: Collection[str] = ()) -> list[Finding]:
    """Layers of the real network that the calibration data never make fire, but for those ``read`` otherwise."""
    firing = {name: counts for name, counts in record.spike_counts.items() if name not in read}
    quiet = [name for name, counts in firing.items() if not counts.any()]
    if quiet and len(quiet) == len(firing):
        return [
            Finding(
                "SP419",
                "the calibration data make no neuron of the network fire",
                f"layer {quiet[0]!r}",
                why="nothing can be compared, and nothing would be classified.",
                mend="calibrate with data scaled as the training data were",
            )
        ]
    return [
        Finding(
            "SP420",
            "no calibration sample makes it fire",
            f"layer {name!r}",
            why="its thresholds and ranges are rounded without having been seen at work.",
            mend="calibrate with more samples; if it never fires, prune it",
            severity="note",
        )
        for name in quiet
    ]


def _fewer(calibration: Array | Samples, seen: Calibration, real: Graph) -> list[Finding]:
    """Whether the steps look at fewer samples than were given."""
    total = Samples.of(real, calibration).number
    if seen.reference.samples == total:
        return []
    what = f"the steps look at the first {seen.reference.samples} of {total} calibration samples"
    return [Finding("SP428", what, why="the states of so large a network fill the memory.", severity="note")]


def _overflows(record: Record) -> list[Finding]:
    return [
        Finding(
            "SP421",
            f"{kind}: {count} times on {record.samples} calibration samples",
            f"layer {name!r}",
            why="hardware would wrap or clip these values.",
            mend="use fewer weight bits for this layer",
            severity="substituted",
        )
        for name, kinds in record.overflows.items()
        for kind, count in kinds.items()
    ]


def _check(
    profile: Profile, weight_bits: int | Mapping[str, int], method: str, steps: Sequence[str], signs: str
) -> None:
    for bits in [weight_bits] if isinstance(weight_bits, int) else weight_bits.values():
        if not 1 <= bits <= profile.weight_bits:
            what = f"{bits} weight bits; the profile {profile.name!r} holds 1 to {profile.weight_bits}"
            fail("SP400", what, mend="choose a number of bits that it holds")
    if method not in RANGE_METHODS:
        fail("SP400", f"there is no range method {method!r}", mend=choose(method, RANGE_METHODS))
    if signs not in SIGN_MODES:
        fail("SP400", f"there is no sign mode {signs!r}", mend=choose(signs, SIGN_MODES))
    if unknown := sorted(set(steps) - set(ALL_STEPS)):
        fail("SP400", f"there is no step {', '.join(unknown)}", mend=choose(unknown[0], ALL_STEPS))
