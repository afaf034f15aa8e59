"""The proof at the end of a capture: the graph against the module, in float64, every spike of every layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import Array, Graph
from spikeport.record import Record
from spikeport.target import Request
from spikeport.tracing.observe import watched
from spikeport.tracing.state import Forward

SCALES = (0.25, 1.0, 3.0, 10.0)  #: standard deviations of the probe samples, so that quiet and busy layers all fire
CLOSE = 1e-9  #: outputs may differ by this share of the largest, in float64


def verify(
    module: nn.Module, graph: Graph, draw: Callable[[nn.Module], Graph], forward: Forward, output: int | None
) -> Graph:
    """``graph``, with the proof noted in its provenance. ``draw`` captures a module as ``graph`` was captured.

    Raises SP382 with the layers that differ, and SP389 where the module cannot be copied or run in float64.
    """
    twin = _twin(module)
    exact = draw(twin)
    if sorted(exact.edges) != sorted(graph.edges):
        fail(
            "SP382",
            "the module takes another way in float64 than in float32",
            mend="look for branches on values or types, or capture with verify=False",
        )
    samples = probe(exact)
    judged = watched(twin, exact, torch.as_tensor(samples), forward, output)
    record = simulate(exact, samples, Request(trains=True))
    findings = [*_spike_findings(exact, samples, record, judged), *_output_findings(record, judged)]
    if findings:
        raise SpikeportError(findings)
    silent = [name for name, counts in record.spike_counts.items() if not counts.any()]
    proof = {
        "samples": record.samples,
        "spikes": int(sum(c.sum() for c in record.spike_counts.values())),
        "silent": silent,
    }
    return graph.with_(provenance={**graph.provenance, "verified": proof})


def _twin(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module).double()
    except Exception as error:
        fail(
            "SP389",
            f"the module cannot be copied for the check in float64: {type(error).__name__}: {error}",
            mend="capture with verify=False, and compare the graph with the module yourself",
        )


def probe(graph: Graph) -> Array:
    """Random samples of several sizes: [B, *input], or [T, B, *input] for event frames."""
    node = graph.entry
    lead = (graph.timesteps, len(SCALES)) if node.coding == "events" else (len(SCALES),)
    x = np.random.default_rng(1).standard_normal((*lead, *node.shape))
    return np.asarray(x * np.reshape(SCALES, (-1, *(1,) * len(node.shape))))


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
                    "look at what this layer gets; if it is a registered neuron, at its converter",
                )
            ]
    return []


def _output_findings(record: Record, judged: Record) -> Sequence[Finding]:
    if record.outputs.shape != judged.outputs.shape:
        what = f"the graph's result has shape {record.outputs.shape}, the module's {judged.outputs.shape}"
        return [Finding("SP382", what, mend="return [B, ...] or [T, B, ...] from the module")]
    same = all((record.trains[n].bits == judged.trains[n].bits).all() for n in record.trains)
    difference = float(np.abs(record.outputs - judged.outputs).max(initial=0.0))
    scale = float(np.abs(judged.outputs).max(initial=0.0))
    if not same or difference <= CLOSE * max(scale, 1e-30):
        return []
    what = f"the results differ by {difference:.3g} (largest {scale:.3g}), though all spikes agree"
    return [Finding("SP382", what, why="what follows the last neurons was captured wrongly.")]
