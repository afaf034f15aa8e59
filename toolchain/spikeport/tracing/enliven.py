"""Makes the silent layers of a copy fire: what leaves the synapse or norm before them is scaled to their thresholds.

A layer that never fires on the probe, or always does, proves nothing of its reset or of what lies behind it. In the
copy that the proof runs on, the weights before such a layer are changed in one pass, in the order of the run, so that
its currents are spread around its threshold; the graph of the changed copy is then proved against it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Array, Graph, Norm, Synapse
from spikeport.tracing.plan import Plan
from spikeport.tracing.trace import run


def enlivened(twin: nn.Module, graph: Graph, layers: Iterable[str], samples: Array, plan: Plan) -> bool:
    """Change the weights of ``twin`` before ``layers``; whether there was anything to change."""
    spreads: dict[str, float] = {}
    for layer in layers:
        node = graph.nodes[layer]
        assert isinstance(node, LIF)
        size = float(np.abs(node.threshold).max(initial=0.0)) / max(float(np.abs(node.gain).max()), 1e-12)
        for source in before(graph, layer):
            spreads.setdefault(source.partition("#")[0], size or 1.0)
    modules = dict(twin.named_modules())
    parts = {modules[_path(name, modules)]: spread for name, spread in spreads.items() if _path(name, modules)}
    if not parts:
        return False
    handles = [part.register_forward_hook(_spread(spread)) for part, spread in parts.items()]
    try:
        with contextlib.suppress(SpikeportError):  # constants of this run are those before the change
            run(twin, torch.as_tensor(samples), plan)
    finally:
        for handle in handles:
            handle.remove()
    return True


def before(graph: Graph, layer: str) -> list[str]:
    """The synapses and norms nearest before a layer."""
    sources: list[str] = []
    waiting, seen = list(graph.sources(layer)), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:  # states go round through their delays
            continue
        seen.add(name)
        if isinstance(graph.nodes[name], Synapse | Norm):
            sources.append(name)
        elif not isinstance(graph.nodes[name], LIF):
            waiting += graph.sources(name)
    return sources


def _path(name: str, modules: dict[str, nn.Module]) -> str:
    """The module with weights that a node was drawn from, or ""."""
    while name:
        part = modules.get(name)
        if part is not None and isinstance(getattr(part, "weight", None), nn.Parameter):
            return name
        name = name.rpartition(".")[0]
    return ""


def _spread(size: float) -> Any:
    """A hook that, at the first call, scales a module's weights so that its result is spread around 0 by ``size``."""
    done: list[bool] = []

    def hook(part: Any, _arguments: Any, out: Any) -> Any:
        if done or not isinstance(out, Tensor):
            return None
        done.append(True)
        spread, mean = float(out.std()), float(out.mean())
        if not np.isfinite(spread) or spread <= 0:
            return None
        factor = size / spread
        part.weight.data *= factor
        shift = 0.0
        if isinstance(getattr(part, "bias", None), nn.Parameter):
            shift = -mean * factor
            part.bias.data = part.bias.data * factor + shift
        return out * factor + shift

    return hook
