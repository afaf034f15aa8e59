"""Runs a PyTorch module as it is and records what its neurons did: the trained network's own result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.graph import LIF, Array, Graph, Readout, Samples
from spikeport.record import Record, join
from spikeport.spike_train import Train
from spikeport.target import Request
from spikeport.tracing import early
from spikeport.tracing.last_functions import KEY
from spikeport.tracing.plan import Plan, called
from spikeport.tracing.registry import registered
from spikeport.tracing.results import read_out
from spikeport.tracing.state import Forward, Reading, evaluating, hinted
from spikeport.tracing.trace import run


def observe(
    module: nn.Module,
    graph: Graph,
    samples: Array,
    request: Request = Request(),
    device: str = "cpu",
    *,
    forward: Forward | None = None,
    output: int | str | None = None,
) -> Record:
    """Run ``module`` on [B, *input] (or [T, B, *input] for event frames) in evaluation mode.

    The graph, captured from the module, says which submodules are neuron layers: node names are module paths, with #2
    for a second call. ``forward`` and ``output`` are those of `capture`. Modules that keep a state start each batch
    from zero.
    """
    module = module.to(device)
    request.check_layers(graph)
    way = forward or graph.provenance.get("forward") or hinted(module) or "sample"
    entering = Samples.of(graph, samples)
    total, size = entering.number, request.samples_at_once(graph, 256)
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    records, first = [], time.perf_counter()
    for start in range(0, total, size):
        request.check_time(first, start, total)
        part = entering.take(range(start, min(start + size, total))).array
        begun = time.perf_counter()
        record = watched(module, graph, torch.as_tensor(np.asarray(part)).to(device, dtype), way, output)
        records.append(replace(record, trains=request.kept(record.trains), seconds=time.perf_counter() - begun))
        request.progress(min(start + size, total), total)
    return join(records)


def watched(module: nn.Module, graph: Graph, x: Tensor, way: Forward, output: int | str | None) -> Record:
    """One batch, with all spike trains."""
    paths = {path for path, part in module.named_modules() if registered(part)}
    if (
        graph.provenance.get("inside")
        or graph.provenance.get(KEY)
        or graph.provenance.get(early.KEY)
        or graph.named_outputs
        or graph.provenance.get("time_axis")
        or any(name.partition("#")[0] not in paths for name in graph.nodes_of(LIF))
    ):
        return followed(module, graph, x, way, output)
    watch = Watch()
    plan = Plan(Reading(way), graph.entry.shape, graph.timesteps, graph.entry.coding, output)
    with evaluating(module), torch.inference_mode(), watch.on(module):
        (result,) = called(module, x, plan).values()
    values = result.detach().cpu().numpy()
    return followed(module, graph, x, way, output) if doubtful(graph, values, way) else _record(graph, watch, values)


def doubtful(graph: Graph, result: Array, way: Forward) -> bool:
    """Whether a result that has an axis of time is not sure to be [T, B, ...], each step of which counts alike.

    Membranes that the module records are read out by their mean, where the graph's readout weighs what they add up.
    """
    if result.ndim != len(graph.shapes[graph.output]) + 2:
        return False
    node = graph.nodes[graph.output]
    alike = not isinstance(node, Readout) or bool((node.weight == node.weight[0]).all())
    first = way == "step" or (way == "sequence" and result.shape[0] == graph.timesteps != result.shape[1])
    return not (alike and first)


def followed(module: nn.Module, graph: Graph, x: Tensor, way: Forward, output: int | str | None) -> Record:
    """One batch of a module with neurons that are written by hand: its run is followed as capture follows it."""
    reading = Reading(way, graph.provenance.get("time_axis", 0), bool(graph.provenance.get("folded")))
    inside = bool(graph.provenance.get("inside"))
    plan = Plan(reading, graph.shapes[graph.input], graph.timesteps, graph.entry.coding, output, inside)
    if early.KEY in graph.provenance:
        return early.run_cut(module, x, plan, graph)
    return run(module, x, plan).record(graph)


@dataclass
class Watch:
    """Collects where the neurons of a module fired, call by call."""

    fired: dict[str, list[Tensor]] = field(default_factory=dict)

    @contextmanager
    def on(self, module: nn.Module) -> Iterator[None]:
        """Listen to the neuron modules."""
        parts = [(path, part, kind) for path, part in module.named_modules() if (kind := registered(part))]
        fire = [(path, part, kind) for path, part, kind in parts if not kind.analog]
        handles = [part.register_forward_hook(self._hook(path, kind.counts)) for path, part, kind in fire]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, path: str, counts: bool) -> Any:
        def hook(_module: nn.Module, arguments: Any, out: Any) -> Any:
            first, rest = (out[0], tuple(out[1:])) if isinstance(out, tuple | list) else (out, None)
            self.fired.setdefault(path, []).append(
                first.detach().clone() if counts else first != 0
            )  # a copy: what follows may add to the spikes in place
            like = next((value for value in arguments if isinstance(value, Tensor)), first)
            spikes = first.to(like.dtype)  # some libraries' spikes are float32 whatever the weights are
            return spikes if rest is None else (spikes, *rest)

        return hook


def _record(graph: Graph, watch: Watch, result: Array) -> Record:
    neurons = graph.nodes_of(LIF)
    trains = {name: _train(watch, name, node) for name, node in neurons.items()}
    return Record(
        target="pytorch",
        outputs=read_out(graph, graph.output, result),
        neurons={name: node.size for name, node in neurons.items()},
        spike_counts={n: t.reshape(len(t), -1).sum(1).astype(np.int64) for n, t in trains.items()},
        trains={name: Train.pack(train) for name, train in trains.items()},
    )


def _train(watch: Watch, name: str, node: LIF) -> Array:
    """[T, B, *neurons] of one node: one call that took all steps, or one call a step."""
    path, _, number = name.partition("#")
    calls = watch.fired[path]
    if calls[0].ndim == len(node.shape) + 2:
        return np.asarray(calls[int(number or 1) - 1].cpu().numpy())
    return np.asarray(torch.stack(calls).cpu().numpy())
