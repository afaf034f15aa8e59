"""The proof at the end of a capture: the graph against the module, in float64, every spike of every layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import LIF, Array, Graph, Peak, Readout, over_neurons, schedule_over_neurons
from spikeport.record import Record
from spikeport.target import Request
from spikeport.tracing.enliven import enlivened
from spikeport.tracing.plan import Plan
from spikeport.tracing.state import evaluating, twin_of

SCALES = (0.25, 1.0, 3.0, 10.0)  #: standard deviations of the probe samples, so that quiet and busy layers all fire
MANY, MOST = 40_000, 40  #: so many neuron steps are looked at where that takes no more samples than this
LARGE, FEW = 1_000_000, 3  #: networks with more neuron steps a sample than this are proved on few samples
LIVELY = (1.0, 3.0)  #: the same for layers whose weights were scaled so that they fire
SEEN, SHARE = 50, 0.05  #: a layer must fire, and be silent, so often, or this share of all
CLOSE = 1e-9  #: outputs may differ by this share of the largest, in float64


@dataclass(frozen=True)
class Seen:
    """A run of a module on probe samples: its graph, and what its neurons did."""

    plan: Plan
    graph: Graph
    samples: Array
    judged: Record


#: runs a module on samples and captures it as the graph was captured
Draw = Callable[[nn.Module, Plan, Array], Seen]


@dataclass(frozen=True)
class Proof:
    """What one comparison saw."""

    samples: int
    spikes: int
    silent: tuple[str, ...]  #: layers that never fired
    always: tuple[str, ...]  #: layers whose neurons always fired
    rare: tuple[str, ...]  #: layers that did one of both so seldom that it proves little


def prove(module: nn.Module, graph: Graph, plan: Plan, draw: Draw) -> Graph:
    """``graph``, with the proof noted in its provenance. ``draw`` captures a module as ``graph`` was captured.

    Layers that stay silent, or always fire, are proved once more with their weights scaled in the copy; what cannot be
    reached is named in the proof.

    Raises SP382 with the layers that differ, and SP389 where the module cannot be copied.
    """
    samples = probe(graph, SCALES)
    twin, seen = _twin(module, graph, plan, samples, draw)
    if _ways(seen.graph) != _ways(graph):
        fail(
            "SP382",
            "the module takes another way in float64 than in float32",
            mend="look for branches on values or types, or capture with verify=False",
        )
    proof, scaled = compared(seen), tuple[str, ...]()
    lacking = tuple(dict.fromkeys((*proof.silent, *proof.always, *proof.rare)))
    left = lacking
    for scales in (LIVELY, SCALES):
        again = probe(graph, scales).astype(samples.dtype)
        if not left or not enlivened(twin, seen.graph, left, again, seen.plan):
            break
        lively = compared(draw(twin, seen.plan, again))
        left = tuple(name for name in left if name in lively.silent or name in lively.always)
        scaled = tuple(name for name in lacking if name not in left)
        proof = replace(
            proof,
            silent=tuple(name for name in proof.silent if name in left),
            always=tuple(name for name in proof.always if name in left),
        )
    noted = {
        "samples": proof.samples,
        "spikes": proof.spikes,
        "type": "float64" if seen.plan.wide else "float32",
        "silent": list(proof.silent),
        **({"always": list(proof.always)} if proof.always else {}),
        **({"scaled": list(scaled)} if scaled else {}),
    }
    notes = list(graph.provenance.get("notes", ()))
    if missing := (*proof.silent, *proof.always):
        notes.append(f"the proof says nothing of {', '.join(missing)}: no probe made them fire and be silent")
    if free := _not_reached(seen):
        notes.append(f"the proof says nothing of the lower bound of {', '.join(free)}: no probe's membrane got there")
    if unrun := graph.provenance.get("unrun"):
        notes.append(
            f"the module does not run the last steps of {', '.join(unrun)}, which come too late for its result"
        )
    provenance = {**graph.provenance, "verified": noted, **({"notes": notes} if notes else {})}
    return graph.with_(provenance=provenance)


def _not_reached(seen: Seen) -> list[str]:
    """Layers whose membranes have a lower bound that matters, which none of them met."""
    layers = {name: node for name, node in seen.graph.nodes_of(LIF).items() if node.lower_bound is not None}
    if not layers or seen.graph.timesteps == 1:
        return []
    membranes = simulate(seen.graph, seen.samples, Request(membranes=tuple(layers))).membranes
    lows = {name: over_neurons(np.asarray(node.lower_bound), node.shape) for name, node in layers.items()}
    return [name for name, low in lows.items() if not (membranes[name] <= low).any()]


def _ways(graph: Graph) -> list[tuple[str, ...]]:
    """The edges; factors in names of nodes have other last digits in another type."""
    return sorted(tuple(re.sub(r"times-?\d[\d.e+-]*", "times", name) for name in edge) for edge in graph.edges)


def _twin(module: nn.Module, graph: Graph, plan: Plan, samples: Array, draw: Draw) -> tuple[nn.Module, Seen]:
    """A copy in float64 and its run; in the module's own type where its code cannot run in float64."""
    try:
        with evaluating(module):
            twin, own = twin_of(module), twin_of(module)
    except Exception as error:
        fail(
            "SP389",
            f"the module cannot be copied for the check in float64: {type(error).__name__}: {error}",
            mend="capture with verify=False, and compare the graph with the module yourself",
        )
    try:
        return twin.double(), draw(twin, replace(plan, wide=True), samples)
    except SpikeportError as error:
        if error.code != "SP386":
            raise
        return own, draw(own, plan, samples.astype(np.float32))


def probe(graph: Graph, scales: Sequence[float]) -> Array:
    """Random samples of several sizes: [B, *input], or [T, B, *input] for event frames. B is no other axis."""
    frames, shape = graph.entry.coding == "events", graph.entry.shape
    load = graph.timesteps * sum(node.size for node in graph.nodes_of(LIF).values())
    few = min(len(scales), FEW)
    least = min(max(len(scales), MANY // max(load, 1)), MOST) if load < LARGE else few
    count = next(n for n in range(least, 999) if n != graph.timesteps and n not in shape)
    sizes = np.resize(scales, count)
    lead = (graph.timesteps, count) if frames else (count,)
    x = np.random.default_rng(1).standard_normal((*lead, *shape)) * sizes.reshape(-1, *(1,) * len(shape))
    return np.asarray(x)


def compared(seen: Seen) -> Proof:
    """One run of both. Raises SP382 where they differ."""
    graph, samples = seen.graph, seen.samples
    record = simulate(graph, samples, Request(trains=True))
    trains = {**record.trains, **seen.judged.trains}  # parts of a layer send nothing out
    for name, steps in graph.provenance.get("unrun", {}).items():  # what the module does not run it cannot judge
        run = [trains[name].unpack()[:steps], record.trains[name].unpack()[steps:]]
        trains[name] = type(trains[name]).pack(np.concatenate(run))
    judged = replace(seen.judged, trains=trains)
    findings = [
        *_spike_findings(graph, samples, record, judged),
        *_output_findings(graph, samples, record, judged, seen.plan),
    ]
    if findings:
        raise SpikeportError(findings)
    layers = {name: node for name, node in graph.nodes_of(LIF).items() if not isinstance(node, Peak)}
    total = {name: judged.samples * graph.timesteps * node.size for name, node in layers.items()}
    fired = {name: int(record.spike_counts[name].sum()) for name in layers}
    return Proof(
        record.samples,
        sum(fired.values()),
        tuple(name for name in layers if not fired[name]),
        tuple(name for name in layers if fired[name] == total[name]),
        tuple(n for n in layers if min(fired[n], total[n] - fired[n]) < min(SEEN, SHARE * total[n])),
    )


def _spike_findings(graph: Graph, samples: Array, record: Record, judged: Record) -> Sequence[Finding]:
    """The first layer whose spikes differ by more than rounding explains: what follows only repeats it."""
    names = [n for n in record.trains if (record.trains[n].unpack() != judged.trains[n].unpack()).any()]
    if not names:
        return []
    own = margins(graph, samples, judged)
    for name in names:
        wrong = own[name].above_rounding(judged.trains[name])
        if wrong.any():
            total = int(np.prod(judged.trains[name].shape))
            return [
                Finding(
                    "SP382",
                    f"{int(wrong.sum())} of {total} spikes differ from the module's, a timestep: {wrong.tolist()}",
                    f"node {name!r}",
                    "what was captured is not what the module computes.",
                    "if the layer is a registered neuron, look at its converter, and at where time lies in its input",
                )
            ]
    return []


def _output_findings(graph: Graph, samples: Array, record: Record, judged: Record, plan: Plan) -> Sequence[Finding]:
    """The first output that differs."""
    for name in graph.outputs:
        if findings := _of_output(graph, name, samples, record, judged, plan):
            return findings
    return []


def _of_output(
    graph: Graph, name: str, samples: Array, record: Record, judged: Record, plan: Plan
) -> Sequence[Finding]:
    ours, theirs = (each.outputs if name == graph.output else each.further[name] for each in (record, judged))
    if ours.shape != theirs.shape:
        what = f"the graph's result has shape {ours.shape}, the module's {theirs.shape}"
        return [Finding("SP382", what, mend="return [B, ...] or [T, B, ...] from the module")]
    if any(record.trains[n].apart(judged.trains[n]).any() for n in record.trains):
        return []
    difference = np.abs(ours - theirs)
    scale = float(np.abs(theirs).max(initial=0.0))
    bound = CLOSE * max(scale, 1e-30) if plan.wide else rounding(graph, name, samples, judged)
    if (difference <= bound).all():
        return []
    largest = float(difference.max(initial=0.0))
    what = f"the results differ by {largest:.3g} (largest {scale:.3g}), though all spikes agree"
    return [Finding("SP382", what, why="what follows the last neurons was captured wrongly.")]


def rounding(graph: Graph, output: str, samples: Array, judged: Record) -> Array:
    """The largest error of an output [B, *shape] that float32 rounding can cause: the bounds of `engine.margins` for
    what enters the readout, and one rounding a step of its sum."""
    node = graph.nodes[output]
    if isinstance(node, Peak):
        return np.asarray(2 * margins(graph, samples, judged)[output].bound.max(0))
    if not isinstance(node, Readout):
        return np.zeros(())
    asked = LIF(node.shape, np.zeros((), np.float32), np.zeros(graph.timesteps, np.float32), reset="none")
    never = np.zeros((graph.timesteps, judged.samples, *node.shape), bool)
    trains = {**judged.trains, output: type(next(iter(judged.trains.values()))).pack(never)}
    entering = margins(graph.replace({output: asked}), samples, replace(judged, trains=trains))[output]
    weight = schedule_over_neurons(np.abs(node.weight.astype(np.float64)), node.shape)[:, None]
    size = np.abs(entering.distance) + entering.bound
    return np.asarray((weight * (entering.bound + 2.0**-24 * (graph.timesteps + 3) * size)).sum(0) * 2)
