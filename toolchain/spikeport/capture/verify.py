"""The proof at the end of a capture: the graph against the module, in float64, every spike of every layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.capture.registry import registered
from spikeport.capture.state import evaluating
from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import LIF, Array, Graph, Input, Readout
from spikeport.record import Record, Train
from spikeport.targets import Request

SCALES = (0.25, 1.0, 3.0, 10.0)  #: standard deviations of the probe samples, so that quiet and busy layers all fire
CLOSE = 1e-9  #: outputs may differ by this share of the largest, in float64


@dataclass
class Watch:
    """Collects what each neuron module gives out, call by call, as float64."""

    spikes: dict[str, list[Tensor]] = field(default_factory=dict)

    def on(self, module: nn.Module) -> list[Any]:
        """Start; the handles end it."""
        handles = []
        for path, part in module.named_modules():
            if registered(part):
                handles.append(part.register_forward_hook(self._hook(path)))
        return handles

    def _hook(self, path: str) -> Any:
        def hook(_module: nn.Module, _args: Any, out: Any) -> Any:
            first, rest = (out[0], tuple(out[1:])) if isinstance(out, tuple | list) else (out, None)
            spikes = first.double()  # some libraries' spikes are float32 whatever the weights are
            self.spikes.setdefault(path, []).append(spikes.clone())  # what follows may add to them in place
            return spikes if rest is None else (spikes, *rest)

        return hook


def verify(
    module: nn.Module, graph: Graph, draw: Any, forward: Literal["sample", "sequence", "step"], output: int | None
) -> Graph:
    """``graph``, with the proof noted in its provenance. ``draw`` captures a module as ``graph`` was captured.

    Raises SP382 with the layers that differ, and SP389 where the module cannot be copied or run in float64.
    """
    twin = _twin(module)
    exact = draw(twin)
    if sorted(exact.edges) != sorted(graph.edges):
        fail("SP382", "the module takes another way in float64 than in float32",
             mend="look for branches on values or types, or capture with verify=False")  # fmt: skip
    samples = probe(exact)
    result, watch = run(twin, samples, forward, exact.timesteps, output)
    judged = record_of(exact, watch, result)
    found = simulate(exact, samples, Request(trains=True))
    findings = [*_spike_findings(exact, samples, found, judged), *_output_findings(found, judged)]
    if findings:
        raise SpikeportError(findings)
    silent = [name for name, counts in found.spike_counts.items() if not counts.any()]
    proof = {"samples": found.samples, "spikes": int(sum(c.sum() for c in found.spike_counts.values())),
             "silent": silent}  # fmt: skip
    return graph.with_(provenance={**graph.provenance, "verified": proof})


def _twin(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module).double()
    except Exception as error:
        fail("SP389", f"the module cannot be copied for the check in float64: {type(error).__name__}: {error}",
             mend="capture with verify=False, and compare the graph with the module yourself")  # fmt: skip


def probe(graph: Graph) -> Array:
    """Random samples of several sizes: [B, *input], or [T, B, *input] for event frames."""
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    lead = (graph.timesteps, len(SCALES)) if node.coding == "events" else (len(SCALES),)
    x = np.random.default_rng(1).standard_normal((*lead, *node.shape))
    return np.asarray(x * np.reshape(SCALES, (-1, *(1,) * len(node.shape))))


def run(module: nn.Module, samples: Array, forward: str, timesteps: int, output: int | None) -> tuple[Array, Watch]:
    """The module's own result [B, ...] or [T, B, ...] and the spikes of its neurons."""
    x, watch = torch.as_tensor(samples), Watch()
    events = forward == "step" and samples.ndim > 0 and len(samples) == timesteps and samples.shape[1] == len(SCALES)
    with evaluating(module), torch.no_grad():
        handles = watch.on(module)
        try:
            if forward != "step":
                return _pick(module(x), output), watch
            steps = [_pick(module(x[t] if events else x), output) for t in range(timesteps)]
            return np.stack(steps), watch
        finally:
            for handle in handles:
                handle.remove()


def _pick(result: Any, output: int | None) -> Array:
    chosen = result if isinstance(result, Tensor) else result[output or 0]
    return np.array(chosen.detach().double().numpy())


def record_of(graph: Graph, watch: Watch, result: Array) -> Record:
    """What the module did, as a record of the graph's nodes."""
    neurons = graph.nodes_of(LIF)
    trains: dict[str, Array] = {}
    for name, node in neurons.items():
        path, _, number = name.partition("#")
        calls = [c.numpy() for c in watch.spikes[path]]
        one_call = calls[int(number or 1) - 1] if len(calls) >= int(number or 1) else None
        whole = one_call is not None and one_call.ndim == len(node.shape) + 2
        trains[name] = one_call if whole and one_call is not None else np.stack(calls)
    return Record(
        target="pytorch",
        outputs=_over_time(graph, result),
        neurons={name: node.size for name, node in neurons.items()},
        spike_counts={n: np.count_nonzero(t.reshape(len(t), -1), axis=1).astype(np.int64) for n, t in trains.items()},
        trains={name: Train.pack(train != 0) for name, train in trains.items()},
    )


def _over_time(graph: Graph, result: Array) -> Array:
    """The module's result as the graph reads it out."""
    shape = graph.shapes[graph.output]
    if result.ndim != len(shape) + 2:
        return result
    node = graph.nodes[graph.output]
    weight = node.weight.astype(np.float64) if isinstance(node, Readout) else np.ones(len(result))
    return np.asarray(np.tensordot(weight, result, axes=1))


def _spike_findings(graph: Graph, samples: Array, found: Record, judged: Record) -> Sequence[Finding]:
    """The first layer whose spikes differ by more than rounding explains: what follows only repeats it."""
    names = [n for n in found.trains if (found.trains[n].unpack() != judged.trains[n].unpack()).any()]
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


def _output_findings(found: Record, judged: Record) -> Sequence[Finding]:
    if found.outputs.shape != judged.outputs.shape:
        what = f"the graph's result has shape {found.outputs.shape}, the module's {judged.outputs.shape}"
        return [Finding("SP382", what, mend="return [B, ...] or [T, B, ...] from the module")]
    same = all((found.trains[n].bits == judged.trains[n].bits).all() for n in found.trains)
    difference = float(np.abs(found.outputs - judged.outputs).max(initial=0.0))
    scale = float(np.abs(judged.outputs).max(initial=0.0))
    if not same or difference <= CLOSE * max(scale, 1e-30):
        return []
    what = f"the results differ by {difference:.3g} (largest {scale:.3g}), though all spikes agree"
    return [Finding("SP382", what, why="what follows the last neurons was captured wrongly.")]
