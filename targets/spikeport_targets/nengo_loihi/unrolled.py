"""Synapses and messages spelled out, one by one, as the chip holds them; positions count in C order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spikeport.graph import Array, Conv, Graph, Linear, Pool, Scale, Shape, over_neurons
from spikeport.graph.synapses import window_count
from spikeport_targets.nengo_loihi.routes import Route


@dataclass(frozen=True)
class Entries:
    """Synapses, one each: [n] whole numbers."""

    inputs: Array
    outputs: Array
    mantissas: Array


def synapses(graph: Graph, way: Route) -> Entries:
    """Every synapse of a way; padding left out. A way without one has a weight of one for each neuron."""
    if not way.synapse:
        size = np.arange(int(np.prod(graph.shapes[way.target])))
        return Entries(size, size, np.ones_like(size))
    node = graph.nodes[way.synapse]
    if isinstance(node, Linear):
        outputs, inputs = np.indices(node.weight.shape)
        return Entries(inputs.ravel(), outputs.ravel(), node.weight.ravel())
    assert isinstance(node, Conv)
    return _convolution(node, graph.input_shape(way.synapse))


def _convolution(node: Conv, shape: Shape) -> Entries:
    fan_in, per_group = node.weight.shape[1], node.channels // node.groups
    area, out_area = int(np.prod(shape[1:])), int(np.prod(node.output_shape(shape)[1:]))
    outs, local = np.indices(node.weight.shape[:2])
    channels = outs // per_group * fan_in + local
    parts: list[tuple[Array, ...]] = []
    flat = node.weight.reshape(*outs.shape, -1)
    for tap, places in enumerate(taps(shape[1:], node.kernel, node.stride, node.padding, node.dilation)):
        to = np.flatnonzero(places >= 0)
        inputs = channels[..., None] * area + places[to]
        weight = np.broadcast_to(flat[:, :, tap, None], inputs.shape)
        parts.append((inputs.ravel(), (outs[..., None] * out_area + to).ravel(), weight.ravel()))
    return Entries(*map(np.concatenate, zip(*parts, strict=True)))


def messages(graph: Graph, way: Route) -> tuple[Array, Array]:
    """Who sends a message to which input position of the synapse, [n] each; twice is two messages."""
    senders = positions = np.arange(int(np.prod(graph.shapes[way.source])))
    for name in way.before:
        node, shape = graph.nodes[name], graph.input_shape(name)
        if isinstance(node, Scale):
            factor = over_neurons(node.factor, shape)
            times = np.broadcast_to(factor, shape).ravel()[positions].astype(np.int64)
            senders, positions = np.repeat(senders, times), np.repeat(positions, times)
            continue
        assert isinstance(node, Pool)
        entering, leaving = _pool(node, shape)
        order = np.argsort(entering, kind="stable")
        first = np.searchsorted(entering[order], positions, side="left")
        counts = np.searchsorted(entering[order], positions, side="right") - first
        at = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        senders, positions = np.repeat(senders, counts), leaving[order][at]
    return senders, positions


def _pool(node: Pool, shape: Shape) -> tuple[Array, Array]:
    """Which input positions of a pool enter which of its windows."""
    area, channels = int(np.prod(shape[1:])), np.arange(shape[0])[:, None]
    out_area = int(np.prod(node.output_shape(shape)[1:]))
    parts: list[tuple[Array, ...]] = []
    for places in taps(shape[1:], node.kernel, node.stride, node.padding, (1,) * len(node.kernel)):
        to = np.flatnonzero(places >= 0)
        parts.append(((channels * area + places[to]).ravel(), (channels * out_area + to).ravel()))
    entering, leaving = map(np.concatenate, zip(*parts, strict=True))
    return entering, leaving


def taps(size: Sequence[int], kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Iterator[Array]:
    """For each tap of a kernel the place in a map of ``size`` that every window meets, [windows]; -1 in the padding."""
    index = np.pad(np.arange(int(np.prod(size))).reshape(tuple(size)), [(p, p) for p in padding], constant_values=-1)
    count = window_count(tuple(size), kernel, stride, padding, dilation)
    for tap in np.ndindex(*kernel):
        starts = [k * d for k, d in zip(tap, dilation, strict=True)]
        axes = (slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(starts, stride, count, strict=True))
        yield index[tuple(axes)].ravel()


def slots(senders: Array, positions: Array, size: int) -> Array:
    """[slots, size]: where each of ``size`` neurons sends its first, second, … message; -1 for none."""
    order = np.argsort(senders, kind="stable")
    senders, positions = senders[order], positions[order]
    counts = np.bincount(senders, minlength=size)
    place = np.arange(len(senders)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((max(1, int(counts.max(initial=0))), size), -1)
    table[place, senders] = positions
    return table
