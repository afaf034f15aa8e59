"""A synapse as the neurons behind it hold it: a sum over windows of a convolution is one of a wider kernel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.graph.arrays import Array
from spikeport.graph.beside import beside_neurons
from spikeport.graph.graph import Graph
from spikeport.graph.plumbing import Delay, Flatten, Norm, Pool, Scale
from spikeport.graph.synapses import Conv, Synapse


def held(graph: Graph, name: str) -> Iterator[Synapse]:
    """The synapse ``name``, once for each node behind it that keeps values or works on them, pools on the way merged.

    A state beside the neurons keeps them.

    A pool's padding becomes the kernel's: at that border the wider kernel has synapses that the pool leaves out.
    """
    node = graph.nodes[name]
    assert isinstance(node, Synapse)
    beside = beside_neurons(graph)
    todo: list[tuple[str, Synapse]] = [(target, node) for target in graph.targets(name)]
    while todo:
        here, synapse = todo.pop(0)
        behind = graph.nodes[here]
        if isinstance(behind, Pool):
            assert isinstance(synapse, Conv)
            synapse = pooled(synapse, behind)
        elif here in beside or not isinstance(behind, Flatten | Scale | Norm | Delay):
            yield synapse
            continue
        todo += [(target, synapse) for target in graph.targets(here)]


def pooled(conv: Conv, pool: Pool) -> Conv:
    """The convolution that computes the pool of another, up to the average's factor: weights of float64."""
    return Conv(
        _widened(conv, pool),
        exponent=conv.exponent,
        stride=tuple(s * by for s, by in zip(conv.stride, pool.stride, strict=True)),
        padding=tuple(p + more * s for p, more, s in zip(conv.padding, pool.padding, conv.stride, strict=True)),
        dilation=(1,) * len(conv.kernel),
        groups=conv.groups,
    )


def _widened(conv: Conv, pool: Pool) -> Array:
    """Tap k of the convolution under tap p of the pool lies at k * dilation + p * stride of the wider kernel."""
    spans = [d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel, strict=True)]
    steps = [s * (k - 1) for s, k in zip(conv.stride, pool.kernel, strict=True)]
    weight = np.zeros((*conv.weight.shape[:2], *(a + b for a, b in zip(spans, steps, strict=True))))
    for tap in np.ndindex(*pool.kernel):
        starts = (p * s for p, s in zip(tap, conv.stride, strict=True))
        places = (slice(at, at + n, d) for at, n, d in zip(starts, spans, conv.dilation, strict=True))
        weight[(slice(None), slice(None), *places)] += conv.weight
    return weight
