"""The edges of a graph, one a synapse: what SANA-FE wants to have spelled out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.graph import Conv, Graph, Linear, Shape, Synapse
from spikeport.graph.pooled import pooled
from spikeport.mapping.layers import Axis, Layer, Projection, layers

LIMIT = 8_000_000  #: edges; SANA-FE takes about 200 bytes and 200 ns a step for each

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Edges:
    """All edges from one layer, or the input, into another by one synapse."""

    synapse: str | None
    source: str
    target: str
    kind: Literal["conv", "dense"]
    pairs: Index  #: [edges, 2]: neuron of the source, neuron of the target
    weight: NDArray[np.float64]  #: [edges]


def edges(graph: Graph) -> list[Edges]:
    """Every edge. Raises SP741 for a padded pool behind a synapse, SP742 for more than `LIMIT` edges."""
    every: list[Edges] = []
    total = 0
    for layer in layers(graph).values():
        for projection in layer.projections:
            total += projection.synapses * projection.area * len(projection.senders)
            if total > LIMIT:
                fail(
                    "SP742",
                    f"the network has more than {LIMIT:,} synapses",
                    where=f"up to {layer.name!r}",
                    mend="take a smaller network or a slice; the model 'loihi1-sanafe2025' has no limit",
                )
            every += [_of(graph, layer, projection, sender) for sender in projection.senders]
    return every


def _of(graph: Graph, layer: Layer, projection: Projection, sender: str) -> Edges:
    if projection.synapse is None:
        return _identity(graph.shapes[sender], layer, projection, sender)
    node = graph.nodes[projection.synapse]
    assert isinstance(node, Synapse)
    shape = graph.input_shape(projection.synapse)
    if any(any(pool.padding) for pool in projection.pools):
        fail(
            "SP741",
            f"a padded pool lies between the synapse {projection.synapse!r} and its neurons",
            where=f"node {layer.name!r}",
            mend="pad in the convolution, or pool after the neurons",
        )
    if isinstance(node, Conv):
        node = reduce(pooled, projection.pools, node)
    inputs, outputs, weight = of_synapse(node, shape)
    neurons, places = _routes(graph.shapes[sender], projection.before)
    order = np.argsort(places, kind="stable")
    first = np.searchsorted(places[order], inputs, side="left")
    counts = np.searchsorted(places[order], inputs, side="right") - first
    at = np.repeat(first, counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    pairs = np.stack([neurons[order[at]], np.repeat(outputs, counts)], axis=1)
    kind: Literal["conv", "dense"] = "conv" if isinstance(node, Conv) else "dense"
    return Edges(projection.synapse, sender, layer.name, kind, pairs, np.repeat(weight, counts) * 2.0**node.exponent)


def _identity(shape: Shape, layer: Layer, projection: Projection, sender: str) -> Edges:
    """Spikes that enter without a synapse: one edge of weight 1 to each neuron that they reach."""
    pairs = np.stack(_routes(shape, projection.axes), axis=1)
    kind: Literal["conv", "dense"] = "conv" if len(shape) > 1 else "dense"
    return Edges(None, sender, layer.name, kind, pairs, np.ones(len(pairs)))


def of_synapse(node: Synapse, shape: Shape) -> tuple[Index, Index, NDArray[np.float64]]:
    """Input and output position (in C order) and weight of every synapse, zero or not, padding left out."""
    weight = node.weight.astype(np.float64)
    if isinstance(node, Linear):
        outputs, inputs = np.indices(weight.shape)
        return inputs.ravel(), outputs.ravel(), weight.ravel()
    assert isinstance(node, Conv)
    size = node.output_shape(shape)
    per_group = node.channels // node.groups
    out, local = np.indices(weight.shape[:2])
    channel = out // per_group * weight.shape[1] + local
    inputs, outputs, tap = channel.reshape(-1, 1), out.reshape(-1, 1), np.zeros((1, 1), dtype=np.int64)
    for a, kernel in enumerate(node.kernel):
        axis = Axis(shape[a + 1], size[a + 1], kernel, node.stride[a], node.padding[a], node.dilation[a])
        at, k = np.nonzero(axis.reached >= 0)
        to = axis.reached[at, k]
        inputs = _outer(inputs * shape[a + 1], at)
        outputs = _outer(outputs * size[a + 1], to)
        tap = _outer(tap * kernel, k)
    flat = weight.reshape(weight.shape[0] * weight.shape[1], -1)
    rows = np.arange(flat.shape[0])[:, None]
    return inputs.ravel(), outputs.ravel(), flat[rows, np.broadcast_to(tap, inputs.shape)].ravel()


def _outer(base: Index, more: Index) -> Index:
    """[n, m] and [k] to [n, m * k], added."""
    return np.asarray((base[:, :, None] + more[None, None, :]).reshape(base.shape[0], -1))


def _routes(shape: Shape, pool: tuple[Axis, ...]) -> tuple[Index, Index]:
    """Neurons of a sender and the input positions of a synapse that they stand for."""
    if not pool:
        index = np.arange(prod(shape))
        return index, index
    neurons = places = np.arange(shape[0]).reshape(1, -1)
    for axis in pool:
        at, k = np.nonzero(axis.reached >= 0)
        neurons = _outer(neurons * axis.inputs, at)
        places = _outer(places * axis.outputs, axis.reached[at, k])
    return neurons.ravel(), places.ravel()
