"""Spikes that enter a layer without a synapse, as at an identity residual: each is an addition, though no weight is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikeport.costs.paths import senders
from spikeport.costs.values import Values
from spikeport.findings import fail
from spikeport.graph import LIF, Array, Delay, Flatten, Graph, Input, Norm, Operation, Pool, Readout, Scale, StepAffine
from spikeport.graph.beside import beside_neurons
from spikeport.record import Record
from spikeport.spike_train import Counts


@dataclass(frozen=True, slots=True)
class Identity:
    """One way from a layer, an operation or the input into a layer that crosses no synapse; sums over samples.

    Or an operation that adds up what enters it: then it is the ``layer``.
    """

    source: str
    layer: str
    operations: Counts  #: [T] one for each spike and neuron that it reaches
    dense: int  #: additions of a dense execution of one step and sample
    spatial: bool  #: whether the spikes lie in a plane, as a convolution's do


def identities(graph: Graph, record: Record, samples: Array | None = None) -> tuple[Identity, ...]:
    """Every such way, and the operations that add values up. ``samples`` are those of the run, where the input enters.

    Raises SP704 where the record does not say which neurons fired and it matters, as in front of a pool that leaves a
    border out.
    """
    every = []
    for name in graph.nodes_of(LIF, Readout):
        ones = np.ones(graph.shapes[name], dtype=np.int64)
        for source, reach, late in ways(graph, name, ones):
            sent = sent_by(graph, source, record, samples, reach)
            counts = np.concatenate([np.zeros(late, dtype=np.int64), sent])[: graph.timesteps]
            every.append(Identity(source, name, counts, int(reach.sum()), reach.ndim > 1))
    return (*every, *_added_up(graph, record, samples))


def _added_up(graph: Graph, record: Record, samples: Array | None) -> Iterator[Identity]:
    """Operations that add: products of spike matrices, sums over axes; not those that update a state."""
    values, beside = Values(graph, samples, record), beside_neurons(graph)
    operations = {name: node for name, node in graph.nodes_of(Operation).items() if name not in beside}
    for name, node in operations.items():
        shapes = [graph.shapes[group[0]] for group in graph.operands(name)]
        dense = int(node.additions(*(np.ones((1, 1, *shape), bool) for shape in shapes))[0])
        if dense:
            counts = node.additions(*(x != 0 for x in values.operands(name)))
            every = np.broadcast_to(counts, graph.timesteps).astype(np.int64)
            yield Identity(senders(graph, name)[0], name, every, dense, len(shapes[0]) > 2)


def sent_by(
    graph: Graph, source: str, record: Record, samples: Array | None, reach: NDArray[np.int64] | None = None
) -> Counts:
    """[T]: spikes of a layer, or input values that are not zero, times what each position reaches (1 unless said).

    Raises SP704 for a record that does not tell.
    """
    even = reach is None or bool((reach == reach.flat[0]).all())
    each = 1 if reach is None else int(reach.flat[0])
    if isinstance(graph.nodes[source], LIF) and even:
        return np.asarray(record.spike_counts[source] * each, dtype=np.int64)
    positions = per_position(graph, source, record, samples)
    if reach is None:
        return np.asarray(positions.reshape(len(positions), -1).sum(1))
    return np.asarray((positions * reach).reshape(len(positions), -1).sum(1))


def per_position(graph: Graph, source: str, record: Record, samples: Array | None) -> NDArray[np.int64]:
    """[T, *shape]: how often each neuron fired, or each value of another node was not zero, over all samples.

    Raises SP704 where the record has no spike train of the layer, or ``samples`` are wanted and not given.
    """
    node = graph.nodes[source]
    if isinstance(node, LIF):
        if source not in record.trains:
            fail(
                "SP704",
                f"the record has no spike train of {source!r}",
                where=f"a record of {record.target!r}",
                mend="run with Request(trains=True)",
            )
        train = record.trains[source]
        if train.several:
            return np.asarray(train.unpack().sum(1, dtype=np.int64))
        steps = [np.unpackbits(step, axis=-1, count=node.size).sum(0, dtype=np.int64) for step in train.bits]
        return np.stack(steps).reshape(graph.timesteps, *node.shape)
    counts = (Values(graph, samples, record).out_of(source) != 0).sum(1, dtype=np.int64)
    return np.asarray(np.broadcast_to(counts, (graph.timesteps, *counts.shape[1:])))


def ways(graph: Graph, name: str, reach: NDArray[np.int64]) -> Iterator[tuple[str, Array, int]]:
    """Backwards from a node: sender, how many neurons each of its values reaches, and by how many steps it is late.

    A way ends where a state beside the neurons is held: what came in there was counted when it came.
    """
    return _ways(graph, name, reach, 0, beside_neurons(graph))


def _ways(
    graph: Graph, name: str, reach: NDArray[np.int64], late: int, beside: frozenset[str]
) -> Iterator[tuple[str, Array, int]]:
    for source in graph.sources(name):
        node = graph.nodes[source]
        if source in beside and isinstance(node, Delay | Operation):
            continue
        if isinstance(node, LIF | Input | Operation) and not isinstance(node, StepAffine):
            yield source, reach, late
        elif isinstance(node, Pool):
            yield from _ways(graph, source, _before_pool(node, reach, graph.input_shape(source)), late, beside)
        elif isinstance(node, Flatten | Scale | Norm | StepAffine | Delay):
            more = node.steps if isinstance(node, Delay) else 0
            yield from _ways(graph, source, reach.reshape(graph.input_shape(source)), late + more, beside)


def _before_pool(node: Pool, reach: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """What each value in front of a pool reaches, given what each window does."""
    padded = np.zeros([shape[0], *(n + 2 * p for n, p in zip(shape[1:], node.padding, strict=True))], dtype=np.int64)
    for tap in np.ndindex(*node.kernel):
        ends = zip(tap, node.stride, reach.shape[1:], strict=True)
        padded[(slice(None), *(slice(k, k + s * (n - 1) + 1, s) for k, s, n in ends))] += reach
    inside = (slice(p, p + n) for n, p in zip(shape[1:], node.padding, strict=True))
    return np.asarray(padded[(slice(None), *inside)])
