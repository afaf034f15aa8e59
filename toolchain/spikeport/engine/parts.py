"""What every way to make a graph ready needs: nodes without loops or kernels of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import neuron, operations, synapse
from spikeport.engine.integers import holding
from spikeport.engine.neuron import Fired, Neurons
from spikeport.engine.synapse import Step
from spikeport.engine.xylo import xylo
from spikeport.graph import (
    LIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Loihi,
    Node,
    Operation,
    Pool,
    Range,
    Readout,
    Scale,
    Shape,
    Synapse,
    over_neurons,
)


def stateless(graph: Graph) -> dict[str, Node]:
    """The nodes that are functions of what enters them at the same step."""
    return {name: node for name, node in graph.nodes.items() if not isinstance(node, Input | LIF | Delay | Readout)}


def definition(node: LIF, graph: Graph) -> Neurons:
    """The plain version of a neuron layer."""
    profile = graph.arithmetic.profile if isinstance(graph.arithmetic, Loihi) else None
    if profile is None:
        run: Callable[..., Fired] = neuron.real
    else:
        run = partial(xylo if profile.neuron == "xylo" else neuron.loihi, profile=profile)

    def call(
        x: Tensor, state: Any, start: int, steps: int, *, keep: bool, watch: bool, beside: Tensor | None = None
    ) -> Fired:
        x = x if beside is None else x + beside
        return run(node, x if profile is None else x.long(), state, start, steps)

    return call


def added_in(graph: Graph, bounds: Mapping[str, Range | None], number: torch.dtype) -> dict[str, torch.dtype]:
    """In what the edges into each node are added, of real numbers of a type: sums of spikes, ``bounds`` of what enters,
    stay bytes until a product or a neuron takes them.
    """

    def of(node: Node, x: Range | None) -> torch.dtype:
        stays = isinstance(node, Synapse | Delay | Flatten) and x is not None and holding(x) == torch.uint8
        return torch.uint8 if stays else number

    return {name: of(node, bounds[name]) for name, node in graph.nodes.items()}


def widened(node: Node, number: torch.dtype, device: str) -> Step:
    """The plain version of a node without state, of real numbers; a synapse takes bytes too."""
    step = synapse.prepare(node, number, device)
    return (lambda x: step(x.to(number))) if isinstance(node, Synapse) else step


def small(node: Node, shape: Shape, entering: Range, leaving: Range, device: str) -> Step:
    """Pools, scales and the like on values in small types; what leaves has the type of its range."""
    if isinstance(node, Pool):
        return lambda x: _sum_pool(node, x, holding(leaving))
    if isinstance(node, Operation):
        return operations.small(node, entering, leaving)
    if isinstance(node, Scale):
        dtype = holding(entering | leaving)
        factor = torch.as_tensor(np.array(over_neurons(node.factor, shape), dtype=np.int64)).to(device, dtype)
        return lambda x: (x.to(dtype) * factor).to(holding(leaving))
    return synapse.prepare(node, torch.int64, device)


def _sum_pool(node: Pool, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Windows summed place by place: as many additions of whole maps as a window has places."""
    sides = [side for p in reversed(node.padding) for side in (p, p)]
    x = torch.nn.functional.pad(x, sides) if any(sides) else x
    total = None
    for place in np.ndindex(*node.kernel):
        cuts = tuple(
            slice(k, n - kernel + k + 1, stride)
            for k, n, kernel, stride in zip(place, x.shape[3:], node.kernel, node.stride, strict=True)
        )
        part = x[(slice(None), slice(None), slice(None), *cuts)]
        total = part.to(dtype, copy=True) if total is None else total.add_(part)
    assert total is not None
    return total
