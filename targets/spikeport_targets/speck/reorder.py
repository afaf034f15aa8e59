"""What the order of events within a step may change: Speck asks a neuron after every event, simulators after all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeport.findings import Finding, raise_errors, require
from spikeport.graph import LIF, Array, Graph, Input, Readout, Samples, Synapse, definition, meaning
from spikeport_targets.entering import entering
from spikeport_targets.speck.checks import ASYNCHRONOUS, check
from spikeport_targets.speck.orders import lowest, orders

LARGEST = 2**24  #: weights of one layer, unrolled
FEW, SEEDS = 4, 3  #: samples and orders of which a run tells
WORK = 2**30  #: additions that this may take at most, some seconds


@dataclass(frozen=True)
class Reordered:
    """Runs with the events of each step in seeded orders, against the run that adds them first."""

    spikes: int  #: neurons times steps times samples, of each run
    differ: tuple[int, ...]  #: of those the ones that fired another number of times, one number a seed
    answers: tuple[float, ...]  #: share of samples whose largest output is the same, one number a seed
    decided: int  #: of the spikes those that no order changes, proved
    most: int  #: by how many spikes any order may part from the run at most, proved

    @property
    def worst(self) -> float:
        """The largest share of spikes that differ."""
        return max(self.differ) / self.spikes


def reorder(graph: Graph, samples: Array, seeds: Sequence[int] = range(5)) -> Reordered:
    """Run ``samples`` once for each seed with the events within a step in random order, one after the other.

    1. A step's events enter a layer in an order drawn anew; biases come first. After each event every neuron at its
       threshold, one above the graph's, fires and is reset; so it may fire several times in a step, and what it would
       have lost to a later event it does not lose.
    2. Layers follow one another within a step: what a layer sent is what enters the next.

    3. What holds for every order, and not for the seeds alone, is proved by intervals (`orders`).

    On the chip events of several layers also meet, which neither says anything of. For small networks: raises SP639
    where a layer has more than `LARGEST` weights unrolled, and the errors of `check`.
    """
    raise_errors(check(graph))
    truth = definition.run(graph, samples)
    stream = entering(graph, samples)
    matrices = {name: _matrix(graph, name, node) for name, node in graph.nodes_of(Synapse).items()}
    expected = {name: truth.spikes(name) for name in graph.nodes_of(LIF)}
    differ, answers = [], []
    for seed in seeds:
        rng, wrong, outputs = np.random.default_rng(seed), 0, []
        for number, sample in enumerate(stream):
            counts, output = _sample(graph, sample, matrices, rng)
            wrong += sum(int((counts[name] != train[:, number]).sum()) for name, train in expected.items())
            outputs.append(output)
        same = np.stack(outputs).reshape(len(stream), -1).argmax(1) == truth.outputs.reshape(len(stream), -1).argmax(1)
        differ.append(wrong)
        answers.append(float(same.mean()))
    spikes, bounds = sum(train.size for train in expected.values()), orders(graph, stream)
    apart = [np.maximum(bounds[n].high - train, train - bounds[n].low) for n, train in expected.items()]
    decided, most = sum(int((each == 0).sum()) for each in apart), int(sum(each.sum() for each in apart))
    return Reordered(spikes, tuple(differ), tuple(answers), decided, most)


def asynchronous(graph: Graph, samples: Array) -> Finding:
    """SP658 with what it comes to for these samples: the first `FEW` in `SEEDS` orders, unless that is long work."""
    few = Samples.of(graph, samples).first(FEW).array
    stream = entering(graph, few)
    sizes = {
        name: (int(np.prod(graph.input_shape(name))), int(np.prod(graph.shapes[name])))
        for name in graph.nodes_of(Synapse)
    }
    work = sum(
        outputs
        * (np.abs(stream).sum() if graph.input in graph.sources(name) else inputs * graph.timesteps * len(stream))
        for name, (inputs, outputs) in sizes.items()
    )
    if work * SEEDS > WORK or max(a * b for a, b in sizes.values()) > LARGEST or not len(stream):
        return ASYNCHRONOUS
    moved = reorder(graph, few, range(SEEDS))
    return replace(
        ASYNCHRONOUS,
        what=f"{ASYNCHRONOUS.what}: in {SEEDS} seeded orders of a step's events up to {moved.worst:.1%} of the spikes "
        f"of {len(stream)} samples differ, and {min(moved.answers):.0%} of the answers at least stay",
        why=f"{ASYNCHRONOUS.why} Proved for every order: {moved.decided / moved.spikes:.1%} of them are the same.",
        mend="nothing where the answers stay; for more samples and orders: spikeport_targets.speck.reorder",
    )


def _matrix(graph: Graph, name: str, node: Synapse) -> Array:
    """Every weight of a synapse, [inputs, outputs]."""
    shape = graph.input_shape(name)
    size, outputs = int(np.prod(shape)), int(np.prod(graph.shapes[name]))
    what = f"unrolled it has {size * outputs:,} weights, {LARGEST:,} are taken at most"
    require(size * outputs <= LARGEST, "SP639", what, where=f"node {name!r}", mend="take a smaller network")
    return np.asarray(meaning.products(node, np.eye(size).reshape(1, size, *shape))[0].reshape(size, outputs))


def _sample(
    graph: Graph, sample: Array, matrices: dict[str, Array], rng: np.random.Generator
) -> tuple[dict[str, Array], Array]:
    """How often every neuron fires at every step of one sample [T, *input], and the output."""
    layers = graph.nodes_of(LIF)
    membranes = {name: np.zeros(node.size) for name, node in layers.items()}
    counts: dict[str, list[Array]] = {name: [] for name in layers}
    ends = []
    for t, frame in enumerate(sample):
        values: dict[str, Array] = {graph.input: frame}
        for name in graph.order:
            node = graph.nodes[name]
            if isinstance(node, Input):
                continue
            first, *others = (values[source] for source in graph.sources(name))
            x = sum(others, first)
            if isinstance(node, LIF):
                (source,) = graph.sources(name)
                into = sum(values[before] for before in graph.sources(source))
                fired = _layer(node, t, membranes[name], matrices[source], np.asarray(into).ravel(), rng)
                counts[name].append(fired.reshape(node.shape))
                values[name] = counts[name][-1]
            elif isinstance(node, Readout):
                values[name] = x
            else:
                values[name] = meaning.apply(node, np.asarray(x, np.float64)[None, None], graph.arithmetic)[0, 0]
        ends.append(values[graph.output])
    last, whole = graph.nodes[graph.output], np.stack(ends)
    output = graph.arithmetic.read_out(last, whole[:, None])[0] if isinstance(last, Readout) else whole.sum(0)
    return {name: np.stack(steps) for name, steps in counts.items()}, output


def _layer(node: LIF, t: int, v: Array, matrix: Array, into: Array, rng: np.random.Generator) -> Array:
    """How often each neuron of a layer fires in one step; ``v``, in sums, is changed in place."""
    counts = np.zeros(node.size, np.int64)
    threshold = float(node.threshold[t].flat[0])
    spread = np.broadcast_to(node.bias.reshape(node.bias.shape + (1,) * (len(node.shape) - node.bias.ndim)), node.shape)
    end = lowest(node)
    v[:] = np.maximum(v + spread.ravel() / 64, end)
    counts += _fire(node, v, threshold).astype(np.int64)
    for event in _events(into, rng):
        v[:] = np.maximum(v + np.sign(into[event]) * matrix[event], end)
        counts += _fire(node, v, threshold).astype(np.int64)
    return counts


def _fire(node: LIF, v: Array, threshold: float) -> Array:
    """How often neurons fire on what they hold now: once where they return to zero, else as often as it fits."""
    fired = v > threshold
    if node.reset == "zero":
        v[fired] = 0
        return fired
    taken = max(threshold, 1.0)
    times = np.where(fired, np.ceil((v - threshold) / taken), 0)
    v -= times * taken
    return times


def _events(into: Array, rng: np.random.Generator) -> Iterator[int]:
    """The places of a step's events, as often as each comes, in an order drawn anew."""
    yield from rng.permutation(np.repeat(np.arange(into.size), np.abs(into).astype(np.int64)))
