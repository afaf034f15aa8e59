"""One run of a module on samples, followed: the graph that it is, and what its neurons did."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import LIF, Graph, Peak
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport.tracing import (
    arithmetic,
    comparisons,
    einsum,
    ends,
    fading,
    indexing,
    layers,
    levels,
    padding,
    pools,
    reductions,
    repetition,
    resampling,
    shapes,
)
from spikeport.tracing.blocks import weighted
from spikeport.tracing.contexts import default_type, following
from spikeport.tracing.finish import Finish
from spikeport.tracing.functions import SUPPORTED, tensors
from spikeport.tracing.last_functions import LastFunctions
from spikeport.tracing.leaks import Key
from spikeport.tracing.over_time import is_train, share, words
from spikeport.tracing.plan import Plan, Results, called
from spikeport.tracing.reasons import refuse
from spikeport.tracing.registry import registered_class
from spikeport.tracing.results import over_all, read_out, several, which
from spikeport.tracing.returned import as_returned
from spikeport.tracing.state import evaluating
from spikeport.tracing.symbols import STRANGER, Axes, Lost, State, Steps, Symbol, Unsupported, causes_of
from spikeport.tracing.tracer import Tracer
from spikeport.tracing.trains import ordered

HANDLERS = {
    **arithmetic.HANDLERS,
    **comparisons.HANDLERS,
    **layers.HANDLERS,
    **levels.HANDLERS,
    **ends.HANDLERS,
    **fading.HANDLERS,
    **pools.HANDLERS,
    **reductions.HANDLERS,
    **shapes.HANDLERS,
    **repetition.HANDLERS,
    **indexing.HANDLERS,
    **padding.HANDLERS,
    **resampling.HANDLERS,
    **einsum.HANDLERS,
}

#: what a result is that was not followed
STRANGE = "does not come from its input, as far as can be followed"


@dataclass(frozen=True)
class Run:
    """What came of one run."""

    graph: Graph
    tracer: Tracer
    results: Mapping[str, Tensor]  #: by output node, [B, *shape] or [T, B, *shape]
    read: tuple[Finding, ...] = field(default=())  #: values that were read into Python
    timed: bool = True  #: whether the module did anything along an axis of time, where there is one
    parts: frozenset[str] = frozenset()  #: nodes within layers of several nodes, whose spikes the module never sends

    def record(self, graph: Graph) -> Record:
        """What the module did, in the terms of ``graph``, which is this run's with its norms folded or not."""
        neurons = {name: node for name, node in graph.nodes_of(LIF).items() if name not in self.parts}
        trains = {name: np.asarray(self.tracer.trains.train(name).cpu().numpy()) for name in neurons}
        trains = {name: over_all(t, graph.timesteps) for name, t in trains.items()}
        outputs = {name: read_out(graph, name, x.detach().cpu().numpy()) for name, x in self.results.items()}
        return Record(
            target="pytorch",
            outputs=outputs.pop(graph.output),
            further=outputs,
            neurons={name: node.size for name, node in neurons.items()},
            spike_counts={n: t.reshape(len(t), -1).sum(1).astype(np.int64) for n, t in trains.items()},
            trains={name: Train.pack(train) for name, train in trains.items()},
        )


def run(module: nn.Module, samples: Tensor, plan: Plan, asks: set[str] | None = None) -> Run:
    """Follow ``module`` on ``samples``: [B, *shape], or [T, B, *shape] where the coding is "events".

    "low" comes to ``asks`` where `Plan.low` makes a difference, and lines that `Plan.normed` may hold, whatever comes
    of the run. Raises `SpikeportError` with everything that its result depends on and a graph cannot hold.
    """
    leaking = _behind_leaks(module, samples, plan) if plan.leaks else None
    last = LastFunctions(HANDLERS["max"])
    with evaluating(module) as cards, torch.no_grad(), default_type(samples.dtype):
        tracer = _tracer(module, samples, plan, leaking)
        tracer.handlers, tracer.cards = {**HANDLERS, **last.handlers}, cards
        try:
            with following(tracer):
                outcome = _outcome(tracer, module, samples, plan)
        except SpikeportError:
            raise
        except Exception as error:
            refuse(tracer.old.findings(failed=True))
            refuse([*tracer.findings, _failed(error, module, samples, plan)])
        finally:
            if asks is not None:
                asks |= {"low"} if tracer.membranes.asks else set()
                asks |= tracer.membranes.inner
        refuse(tracer.old.findings())
        finished = _finish(tracer, module, last.left_out(outcome), plan)
        return replace(finished, graph=last.told(finished.graph))


def _tracer(module: nn.Module, samples: Tensor, plan: Plan, leaking: frozenset[Key] | None) -> Tracer:
    batch = samples.shape[1 if plan.coding == "events" else 0]
    dtype = np.dtype("float64" if samples.dtype == torch.float64 else "float32")
    tracer = Tracer(module, batch, dtype, HANDLERS, plan.timesteps, plan.inside, plan.wide, leaking)
    tracer.membranes.low, tracer.membranes.normed = plan.low, plan.normed
    return tracer


def _behind_leaks(module: nn.Module, samples: Tensor, plan: Plan) -> frozenset[Key]:
    """The layers of a module that stand behind a membrane that only leaks, by a run that need not succeed."""
    with evaluating(module), torch.no_grad(), default_type(samples.dtype):
        tracer = _tracer(module, samples, plan, frozenset())
        with contextlib.suppress(Exception), following(tracer):
            _outcome(tracer, module, samples, plan)
    return frozenset(tracer.leaks.seen)


def _failed(error: Exception, module: nn.Module, samples: Tensor, plan: Plan) -> Finding:
    """What to say where the module's own forward raises."""
    what = f"its forward fails on samples of shape {list(samples.shape)}: {type(error).__name__}: {error}"
    mend = f"check input_shape {plan.shape} and {plan.reading.words()}"
    if isinstance(error, TypeError) and "required positional argument" in str(error):
        mend = "one call gives it the samples alone: wrap it in a module whose forward(x) passes the rest"
    return Finding("SP386", what, type(module).__name__, mend=mend)


def _outcome(tracer: Tracer, module: nn.Module, samples: Tensor, plan: Plan) -> Results:
    """The module's results on samples that are followed."""
    frames = plan.coding == "events"
    axes: Axes = (("B",), *((n,) for n in range(len(plan.shape))))
    at, way = plan.reading.time, plan.reading.way

    def follow(x: Tensor, step: int | None) -> Tensor:
        whole = (*axes[:at], ("T",), *axes[at:]) if way == "sequence" else axes
        whole = (("B", "T"), *whole[2:]) if plan.reading.folded else whole
        tracer.know(x, tracer.draft.source("input", plan.shape, plan.coding, whole, step if frames else None))
        return x

    results = called(module, samples, plan, follow)
    tracer.membranes.over_all |= way == "step"  # as often as there are timesteps
    return results


def _finish(tracer: Tracer, module: nn.Module, outcomes: Results, plan: Plan) -> Run:
    """Of several results all are outputs where they have keys, or where each is spikes over time."""
    if len(outcomes) == 1:
        return _finished(tracer, module, outcomes, plan)
    knowns = {key: tracer.known_of(outcome) for key, outcome in outcomes.items()}
    trains = {key for key, known in knowns.items() if isinstance(known, Symbol) and is_train(tracer.draft, known)}
    if not all(isinstance(key, str) or key in trains for key in outcomes):
        several(outcomes, trains=trains)
    try:
        return _finished(tracer, module, outcomes, plan)
    except SpikeportError as error:
        several(outcomes, *error.findings)


def _finished(tracer: Tracer, module: nn.Module, outcomes: Results, plan: Plan) -> Run:
    knowns = {key: _known(tracer, outcome) for key, outcome in outcomes.items()}
    timesteps = _timesteps(tracer, list(knowns.values()))
    shares = {key: share(tracer.draft, known, timesteps) for key, known in knowns.items()}
    symbols = {key: _symbol(tracer, known, [shares[key]] * timesteps) for key, known in knowns.items()}
    notes = [
        *tracer.reads.words(tracer.findings),
        *_rounded(tracer),
        *_placed(tracer),
        *words(tracer.draft, knowns, timesteps),
    ]
    finish = Finish(tracer.draft, timesteps, notes=notes)
    unrun = tracer.membranes.unrun(timesteps)
    provenance: dict[str, Any] = {"source": "pytorch", "module": type(module).__name__, "forward": plan.reading.way}
    if plan.reading.time:
        provenance["time_axis"] = plan.reading.time
    if plan.reading.folded:
        provenance["folded"] = True
    if plan.inside:
        provenance["inside"] = True
    if unrun:
        provenance["unrun"] = unrun
    named = {key if isinstance(key, str) else f"output{key}": symbol for key, symbol in symbols.items()}
    graph = finish.graph(named, provenance, list(shares.values()))
    refuse([*_named(tracer, finish.causes | tracer.reads.branches), *finish.findings])
    assert graph is not None
    results = {}
    for name, (key, known) in zip(graph.outputs, knowns.items(), strict=True):
        values = outcomes[key].sum(known.axis) * shares[key] if isinstance(known, Steps) else outcomes[key]
        symbol = symbols[key]
        results[name] = ordered(values, symbol.axes, symbol.shape, tracer.size, timed=symbol.timed)
    read = tuple(f for f in tracer.findings if f.code == "SP381")
    late = all(isinstance(known, Symbol) and not known.timed for known in knowns.values())
    timed = plan.reading.way != "sequence" or tracer.timed or late
    return Run(graph, tracer, results, read, timed, frozenset({*finish.parts, *graph.nodes_of(Peak)}))


def _rounded(tracer: Tracer) -> list[str]:
    """What the graph's notes say of what the module rounds: sums to a short type on its own, counts to even numbers."""
    half = "at exactly half a threshold it fires once more, where the module rounds to the even number"
    counts = [f"{name}: {half}" for name in sorted(tracer.draft.even)]
    casts = " and ".join(sorted(tracer.autocasts))
    what = f"the module computes under autocast, in {casts}; the graph is the network without it, so that spikes and"
    return counts + ([f"{what} outputs may differ from the module's by that rounding"] if casts else [])


def _placed(tracer: Tracer) -> list[str]:
    """What the graph's notes say of cards that are not here."""
    where = " and ".join(sorted(tracer.cards))
    return [f"the module puts tensors on {where}; without a card they stayed on the processor"] if where else []


def _symbol(tracer: Tracer, known: Symbol | Steps, weights: list[float]) -> Symbol:
    """What is read out: of a block whose steps differ the sum with these ``weights``, the features in their shape."""
    symbol = known
    if isinstance(symbol, Steps):
        symbol = weighted(symbol, weights, tracer.membranes.resolved)
    return as_returned(tracer, symbol)


def _known(tracer: Tracer, outcome: Tensor) -> Symbol | Steps:
    known = tracer.known_of(outcome)
    if isinstance(known, Lost):
        refuse(_named(tracer, known.causes | tracer.reads.branches))
    if isinstance(known, State):
        fail("SP385", "the result is the membrane of a neuron layer", mend=f"return its spikes, or {which([0])}")
    if isinstance(known, Symbol | Steps):
        return known
    if keeper := _keeper(tracer.root, outcome):
        what = f"the result is what the neurons of {keeper!r} keep for themselves, as their membranes"
        mend = (
            "return what they send, or put a neuron there whose membranes are what it sends, as one that never spikes"
        )
        fail("SP385", what, mend=mend)
    finding = Finding("SP385", f"the module's result {STRANGE}", mend=f"supported are: {SUPPORTED}")
    strayed = tracer.reads.strayed(finding, tracer.findings)
    raise SpikeportError([strayed, *_named(tracer, tracer.reads.branches)])


def _keeper(root: nn.Module, outcome: Tensor) -> str:
    """The path of the neurons that are taken whole and hold a tensor in an attribute; nothing where none do."""
    parts = ((path, part) for path, part in root.named_modules() if registered_class(part))
    return next(
        (path for path, part in parts if any(value is outcome for value in tensors([*vars(part).values()]))), ""
    )


def _timesteps(tracer: Tracer, knowns: list[Symbol | Steps]) -> int:
    """How many the module runs; where that is not seen, the causes of its results may be why."""
    causes = causes_of(knowns)
    try:
        for block in knowns:
            if isinstance(block, Steps):
                tracer.steps(len(block.steps))
        timesteps = tracer.length()
    except Unsupported as reason:
        fail("SP384", str(reason), mend="one timestep is one call of each neuron layer")
    if timesteps is None:
        counts = sorted({len(layer.charges) for layer in tracer.membranes.layers.values()})
        what = "runs no timestep that capture can see: no neuron, no loop over time"
        what = (
            f"its neuron layers fire at {counts} steps, and nothing says how many timesteps it runs" if counts else what
        )
        last = Finding("SP384", what, type(tracer.root).__name__, mend="pass timesteps=T, or spiking neurons")
        refuse([*_named(tracer, causes | tracer.reads.branches), last])
    assert timesteps is not None
    return timesteps


def _named(tracer: Tracer, numbers: Any) -> list[Finding]:
    named = [tracer.findings[n] for n in sorted(numbers)]
    return [tracer.reads.strayed(f, tracer.findings) if STRANGER in f.what else f for f in named]
