"""Sequences that end before a module's last step: it runs their steps alone, and is read out as its graph is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from spikeport.engine import simulate
from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, Array, Graph, Readout, Shape
from spikeport.passes.first_steps import first_steps
from spikeport.passes.fold_norm import fold_norm
from spikeport.record import Record
from spikeport.tracing.plan import Plan
from spikeport.tracing.results import is_timed
from spikeport.tracing.trace import run

KEY = "first_of"  #: in the provenance of a graph that is cut: how many steps its module has


def cut(graph: Graph, steps: int) -> Graph:
    """The first steps of a captured network, by which `observe` runs the module on so many."""
    shorter = first_steps(graph, steps)
    return shorter.with_(provenance={**shorter.provenance, KEY: graph.timesteps})


def run_cut(module: nn.Module, samples: Tensor, plan: Plan, graph: Graph) -> Record:
    """What the module makes of the steps of the cut ``graph`` alone, ``samples`` [L, B, ...].

    1. What the module adds up itself counts as the graph's readout does: a mean over L steps becomes its share of T.
    2. A module that does something else on fewer steps is none of which the graph is the beginning (SP246).
    """
    try:
        whole = run(module, samples, plan)
    except SpikeportError as error:
        raise _other(graph, f"it cannot be followed on {graph.timesteps} steps alone", *error.findings) from None
    own = whole.graph
    if own.timesteps != graph.timesteps or own.outputs != graph.outputs or _layers(own) != _layers(graph):
        raise _other(graph, f"called on {graph.timesteps} steps alone it is another network")
    added = [name for name, values in whole.results.items() if not is_timed(graph, name, values)]
    shares = _shares(own, graph, added) if added else {}
    results = {name: values * shares.get(name, 1.0) for name, values in whole.results.items()}
    return replace(whole, results=results).record(graph)


def _layers(graph: Graph) -> dict[str, Shape]:
    return {name: node.shape for name, node in graph.nodes_of(LIF).items()}


def _other(graph: Graph, what: str, *reasons: Finding) -> SpikeportError:
    mend = "take its captured graph: --target reference, NAME@reference, or the file that spikeport export writes"
    where = f"module {graph.provenance['module']}"
    why = f"the graph is of all {graph.provenance[KEY]} steps."
    return SpikeportError([Finding("SP246", what, where=where, why=why, mend=mend), *reasons])


def _shares(own: Graph, cut: Graph, outputs: Sequence[str]) -> dict[str, float]:
    """By output: the weight of a step in the cut graph, in units of that in the module's own result."""
    shares: dict[str, float] = {}
    ours, theirs = _at_rest(cut), _at_rest(fold_norm(own))
    for name in outputs:
        a, b = cut[name], own[name]
        share = _ratio(a.weight, b.weight) if isinstance(a, Readout) and isinstance(b, Readout) else 1.0
        if share is None or not np.allclose(ours[name], share * theirs[name], rtol=1e-4, atol=1e-6):
            raise _other(cut, f"its result of {cut.timesteps} steps weighs them otherwise than that of all does")
        shares[name] = share
    return shares


def _at_rest(graph: Graph) -> dict[str, Array]:
    """The outputs where nothing enters and nothing fires: what biases come to."""
    layers = graph.nodes_of(LIF).items()
    silent = {name: node.with_(threshold=np.full_like(node.threshold, 1e30)) for name, node in layers}
    frames = (graph.timesteps,) if graph.entry.coding == "events" else ()
    record = simulate(graph.replace(silent), np.zeros((*frames, 1, *graph.entry.shape), np.float32))
    return {graph.output: record.outputs, **record.further}


def _ratio(a: Array, b: Array) -> float | None:
    """``a / b`` where that is one number, and not 0; None where it is not."""
    at = int(np.abs(b).argmax())
    ratio = float(a.flat[at]) / float(b.flat[at]) if a.shape == b.shape and b.flat[at] else 0.0
    return ratio if ratio and np.allclose(a, ratio * b, rtol=1e-5, atol=0) else None
