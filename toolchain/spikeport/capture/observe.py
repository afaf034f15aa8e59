"""Runs a PyTorch module as it is and records what its neurons did: the trained network's own result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.graph import LIF, Array, Graph
from spikeport.record import Record, Train, join
from spikeport.targets import Request


def observe(
    module: nn.Module, graph: Graph, samples: Array, request: Request = Request(), device: str = "cpu"
) -> Record:
    """Run ``module`` on [B, *input] (or [T, B, *input] for event frames) in evaluation mode.

    The graph, captured from the module, says which submodules are neuron layers: node names are module paths. Their
    outputs, [T, B, *neurons], are the spikes.
    """
    module = module.to(device).eval()
    axis = 1 if samples.ndim == len(graph.shapes[graph.input]) + 2 else 0
    total, size = samples.shape[axis], request.batch or 256
    records = []
    for start in range(0, total, size):
        part = samples.take(range(start, min(start + size, total)), axis=axis)
        begun = time.perf_counter()
        record = _batch(module, graph, torch.as_tensor(np.asarray(part)).to(device), request)
        records.append(replace(record, seconds=time.perf_counter() - begun))
        request.progress(min(start + size, total), total)
    return join(records)


def _batch(module: nn.Module, graph: Graph, x: Tensor, request: Request) -> Record:
    neurons = graph.nodes_of(LIF)
    spikes: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            spikes[name] = output

        return module.get_submodule(name).register_forward_hook(hook)

    handles = [keep(name) for name in neurons]
    try:
        with torch.inference_mode():
            dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
            outputs = module(x.to(dtype))
    finally:
        for handle in handles:
            handle.remove()  # type: ignore[attr-defined]
    return Record(
        target="pytorch",
        outputs=outputs.cpu().numpy(),
        neurons={name: node.size for name, node in neurons.items()},
        spike_counts={name: _counts(train) for name, train in _ordered(spikes, neurons).items()},
        trains={n: Train.pack(s.cpu().numpy()) for n, s in _ordered(spikes, neurons).items()} if request.trains else {},
    )


def _ordered(spikes: Mapping[str, Tensor], neurons: Mapping[str, LIF]) -> dict[str, Tensor]:
    return {name: spikes[name] for name in neurons}


def _counts(spikes: Tensor) -> Array:
    counts: Array = spikes.flatten(1).sum(1).to(torch.int64).cpu().numpy()
    return counts
