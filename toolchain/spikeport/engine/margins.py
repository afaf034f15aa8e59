"""How far each neuron is from its threshold, and how much of that float32 rounding can account for.

A spike that differs between two runs of one network is either rounding or a defect. To tell them apart every layer is
judged on the spike trains of one record alone: the input of a layer is computed in float64 from the record's spikes
upstream, and the membrane is reset where the record says that it fired. One flip is never counted again downstream.

The bound. Write ``u = 2**-24`` for float32's unit roundoff and ``gamma(n) = n u / (1 - n u)``. A sum of n products,
computed in any order, with or without fused multiply-add, differs from the exact one by at most
``gamma(n) * sum |w||x|`` where nothing underflows (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
sections 3.1 and 4.2). Terms with x = 0 add nothing and round nothing, so n is the number of non-zero inputs of that
output. A run may hold its batch normalisation apart: it sums with weights w where the graph has ``W = fl(w * g)``, then
subtracts the mean, multiplies by g and adds beta. That is at most `FOLDING` further roundings of terms that
``sum |W||x|``, ``|mean * g|`` and ``|beta|`` bound. The graph does not know the mean any more; it is a mean of sums, so
it is taken to be no larger than the largest sum that the inputs seen can make, ``S = sum |W| * max |x|``, and then
``|beta| <= |b| + S``. In all, for a synapse whose input carries an error of at most e:

    error(W x + b) <= |W| e + gamma(n + FOLDING) * |W| (|x| + e) + gamma(FOLDING) * (|b| + 2 S)

A neuron adds at most `STEP` roundings a step (of ``decay * v``, ``gain * x``, their sum, the bias, and of forms such as
``v + (x - v) / tau``), and carries the error of its membrane on until it is reset:

    error(u[t]) <= decay * error(v[t-1]) + gain * error(x[t])
                   + gamma(STEP) * (decay * (|v[t-1]| + error(v[t-1])) + gain * (|x[t]| + error(x[t])) + |bias|)
    error(v[t])  = 0 after a reset to a value, error(u[t]) + UNIT * (|u[t]| + error(u[t]) + |threshold[t]|) after a
                   subtraction, else error(u[t])

Of s spikes in a step the product with the threshold rounds once more, and the quotient that says s, as if u had.

The bound does not hold for sums that are not taken term by term (Winograd or Fourier convolutions, TF32, bf16), nor for
a folded mean that is far larger than S: at some 94 times it the roundings of the mean alone pass the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set

import numpy as np
import torch
from torch import Tensor

from spikeport import graph as nodes
from spikeport.engine import operations, synapse
from spikeport.engine.circles import groups
from spikeport.engine.decisions import UNIT, Bounded, Margin, gamma, neurons
from spikeport.findings import fail
from spikeport.graph import LIF, Array, Graph, Node, Samples, Synapse
from spikeport.graph.samples import running
from spikeport.record import Record
from spikeport.spike_train import Train

FOLDING = 8  #: roundings between a sum and the current: w * g, its g (3), minus mean, times g, plus beta, plus bias
MEMORY = 1 << 30  #: bytes of one block's margins and of what is computed on the way
BYTES = 64  #: of each value of a graph, a step: value, error and size, their sums, and of neurons distance and bound

Block = tuple[Samples, Mapping[str, Train]]  #: some samples, and the trains of all layers for them


def margins(graph: Graph, samples: Array | Samples, reference: Record, device: str = "cpu") -> dict[str, Margin]:
    """Distance to the threshold and rounding bound of every spiking layer, on the reference's own spike trains.

    ``samples`` as for `simulate`; ``reference`` holds the trains of all layers for exactly these samples; ``device``
    computes. Raises SP502 for input of the wrong shape, SP506 without the trains, SP507 for integers (where nothing
    rounds and every mismatch is a defect).
    """
    entering = _judgeable(graph, samples, reference)
    with torch.inference_mode():
        return _margins(graph, entering, reference.trains, device, {})


def margins_by_samples(
    graph: Graph, samples: Array | Samples, reference: Record, device: str = "cpu", memory: int = MEMORY
) -> Iterator[tuple[int, int, dict[str, Margin]]]:
    """The `margins` of samples ``start`` ... ``stop - 1``, block by block, in about ``memory`` bytes: the same numbers.

    All at once they take tens of bytes a value, step and sample: more than a machine has for a test split of an
    ordinary network. Only a graph with feedback without a neuron is judged at once. Raises as `margins`.
    """
    entering, total = _judgeable(graph, samples, reference), reference.samples
    round_about = any(group.delays for group in groups(graph))
    values = graph.timesteps * sum(int(np.prod(shape)) for shape in graph.shapes.values())
    size = total if round_about else max(1, memory // (BYTES * values))
    cuts = [(start, min(start + size, total)) for start in range(0, total, max(1, size))]

    def block(start: int, stop: int) -> Block:
        return entering.cut(start, stop), {name: train.cut(start, stop) for name, train in reference.trains.items()}

    with torch.inference_mode():
        largest = _largest(graph, lambda: (block(*cut) for cut in cuts), device) if len(cuts) > 1 else {}
    for start, stop in cuts:
        with torch.inference_mode():
            layers = _margins(graph, *block(start, stop), device, largest)
        yield start, stop, layers


def _judgeable(graph: Graph, samples: Array | Samples, reference: Record) -> Samples:
    entering = Samples.of(graph, samples)
    if isinstance(graph.arithmetic, nodes.Loihi):
        fail("SP507", "margins are about rounding, and integers do not round", mend="count every mismatch as a defect")
    layers = graph.nodes_of(LIF)
    missing = [name for name in layers if name not in reference.trains]
    short = [name for name in layers if name not in missing and reference.trains[name].shape[1] != entering.number]
    if missing or short:
        fail(
            "SP506",
            f"the record lacks the spike trains of {', '.join(map(repr, missing or short))}"
            + ("" if missing else f" for these {entering.number} samples"),
            mend="run with Request(trains=True) on the same samples",
        )
    return entering


def _margins(
    graph: Graph, samples: Samples, trains: Mapping[str, Train], device: str, largest: Mapping[str, float]
) -> dict[str, Margin]:
    layers: dict[str, Margin] = {}
    for name, x, fired in _entering(graph, (samples, trains), device, set(graph.nodes), largest):
        node = graph.nodes[name]
        if isinstance(node, LIF):
            layers[name] = neurons(node, x, fired if node.most_spikes > 1 else fired.bool())
    judged = {name: layers[name] for name in graph.nodes_of(LIF)}
    if samples.lengths is None:
        return judged
    return {name: _up_to(margin, samples.lengths) for name, margin in judged.items()}


def _up_to(margin: Margin, lengths: Array) -> Margin:
    """Behind its end a sample decides nothing: no spike, and infinitely far from one."""
    shape = margin.distance.shape
    behind = ~running(lengths, shape[0]).reshape(*shape[:2], *(1,) * (len(shape) - 2))
    distance = np.where(behind, np.inf, margin.distance)
    exact = np.where(behind, margin.exact.dtype.type(0), margin.exact)
    return Margin(distance, np.where(behind, 0.0, margin.bound), exact)


def _entering(
    graph: Graph, block: Block, device: str, needed: Set[str], largest: Mapping[str, float]
) -> Iterator[tuple[str, Bounded, Tensor]]:
    """Each of the ``needed`` nodes behind the input, what enters it first, and of neurons their spikes."""
    samples, trains = block
    values: dict[str, Bounded] = {
        name: Bounded(torch.as_tensor(trains[name].unpack()).to(device).double()) for name in graph.nodes_of(LIF)
    }
    for group in groups(graph):
        for name in group.delays:  # nothing yet; each time round one step more is right
            shape = (graph.timesteps, samples.number, *graph.shapes[name])
            values[name] = Bounded(torch.zeros(shape, dtype=torch.float64, device=device))
        for name in [name for name in group.names if name in needed] * (graph.timesteps if group.delays else 1):
            node = graph.nodes[name]
            if isinstance(node, nodes.Input):
                values[name] = _enter(samples, device)
                continue
            x, *others = (_added([values[source] for source in each]) for each in graph.operands(name))
            yield name, x, values[name].value if isinstance(node, LIF) else x.value
            if isinstance(node, nodes.Operation):
                values[name] = _operation(node, [x, *others])
            elif not isinstance(node, LIF):
                values[name] = _passed(node, x, graph.timesteps, largest.get(name))


def _largest(graph: Graph, blocks: Callable[[], Iterable[Block]], device: str) -> dict[str, float]:
    """The largest magnitude that enters each synapse, over all samples: what the bound takes a folded mean for.

    Spikes are known, so that only what lies between neurons and synapses is computed: all blocks once, and once more
    for synapses behind other synapses.
    """
    before = _before(graph)
    synapses = {name for name in before if isinstance(graph.nodes[name], Synapse)}
    known: dict[str, float] = {}
    while known.keys() != synapses:
        due = {name for name in synapses - known.keys() if before[name] & synapses <= known.keys()}
        most, needed = dict.fromkeys(due, 0.0), due.union(*(before[name] for name in due))
        for block in blocks():
            for name, x, _ in _entering(graph, block, device, needed, known):
                if name in due and x.size.numel():
                    most[name] = max(most[name], float(x.size.max()))
        known |= most
    return known


def _before(graph: Graph) -> dict[str, set[str]]:
    """All nodes before each one, up to the neurons, whose spikes are known."""
    before: dict[str, set[str]] = {}
    for name in (name for group in groups(graph) for name in group.names):
        near = [source for source in graph.sources(name) if not isinstance(graph.nodes[source], LIF)]
        before[name] = set(near).union(*(before[source] for source in near))
    return before


def _enter(samples: Samples, device: str) -> Bounded:
    value = torch.as_tensor(np.array(samples.frames, dtype=np.float64)).to(device)
    exact = torch.equal(value.float().double(), value)
    return Bounded(value, None if exact else value.abs() * UNIT)


def _added(parts: list[Bounded]) -> Bounded:
    total = parts[0]
    for part in parts[1:]:
        value = total.value + part.value
        errors = [p.error for p in (total, part) if p.error is not None]
        exact = not errors and torch.equal(value.float().double(), value)
        total = Bounded(value, None if exact else sum(errors, (total.size + part.size) * UNIT))
    return total


def _passed(node: Node, x: Bounded, steps: int, largest: float | None) -> Bounded:
    if isinstance(node, Synapse):
        return _synapse(node, x, largest)
    if isinstance(node, nodes.Delay):
        value = _delayed(x.value, node.steps, steps)
        return Bounded(value, None if x.error is None else _delayed(x.error, node.steps, steps))
    if isinstance(node, nodes.Readout):
        return x
    value = synapse.apply(node, x.value)
    carried = None if x.error is None else synapse.apply(_slope(node), x.error)
    exact = carried is None and torch.equal(value.float().double(), value)
    if isinstance(node, nodes.Flatten) or (exact and not isinstance(node, nodes.Norm)):
        return Bounded(value, carried)  # counts and halves are float32 numbers at every step of the way
    size = synapse.apply(_magnitude(node), x.size)
    roundings = float(np.prod(node.kernel)) + 1 if isinstance(node, nodes.Pool) else float(FOLDING)
    rounding = gamma(roundings) * size
    return Bounded(value, rounding if carried is None else carried + rounding)


def _operation(node: nodes.Operation, x: list[Bounded]) -> Bounded:
    """Sums of products of what enters, whose `magnitude` of |x| bounds what errors do.

    Each result is rounded at most as often as there are values in all operands.
    """
    rule, bound = (operations.prepare(each, torch.float64) for each in (node, node.magnitude()))
    value, size = rule(*(each.value for each in x)), bound(*(each.size for each in x))
    if all(each.error is None for each in x) and torch.equal(value.float().double(), value):
        return Bounded(value)
    if node.moves:
        return Bounded(value, rule(*(torch.zeros_like(each.value) if each.error is None else each.error for each in x)))
    roundings = float(sum(each.value[0, 0].numel() for each in x))
    return Bounded(value, size - bound(*(each.value.abs() for each in x)) + gamma(roundings) * size)


def _slope(node: Node) -> Node:
    """The node that carries an error on: absolute factors, nothing added."""
    if isinstance(node, nodes.Scale):
        return nodes.Scale(np.abs(node.factor))
    if isinstance(node, nodes.Norm):
        return _magnitude(node.with_(beta=np.zeros_like(node.beta), mean=np.zeros_like(node.mean)))
    return node


def _magnitude(node: Node) -> Node:
    """The node with every term at its absolute value; for a normalisation |g| |x| + |g mean| + |beta|."""
    if not isinstance(node, nodes.Norm):
        return _slope(node)
    return nodes.Norm(np.abs(node.gamma), np.abs(node.beta), -np.abs(node.mean), node.var, node.eps, abs(node.scale))


def _delayed(x: Tensor, by: int, steps: int) -> Tensor:
    x = x.expand(steps, *x.shape[1:])
    return torch.cat([x.new_zeros((by, *x.shape[1:])), x])[:steps]


def _synapse(node: Synapse, x: Bounded, largest: float | None) -> Bounded:
    """``largest`` is what enters at most, of these samples where None."""
    value = synapse.apply(node, x.value)
    weight = np.abs(node.weight.astype(np.float64))
    bare = node.with_(weight=weight, bias=None)
    size = synapse.apply(bare, x.size)
    largest = (float(x.size.max()) if x.size.numel() else 0.0) if largest is None else largest
    most = weight.reshape(len(weight), -1).sum(1) * largest + 0.5 * np.abs(0.0 if node.bias is None else node.bias)
    rest = synapse.spread(2.0 * most, value)
    error = gamma(_terms(node, x.size) + FOLDING) * size + gamma(float(FOLDING)) * rest
    return Bounded(value, error if x.error is None else error + synapse.apply(bare, x.error))


def _terms(node: Synapse, size: Tensor) -> Tensor:
    """For each output, how many of its inputs are not zero; broadcasts over the synapse's output."""
    nonzero = (size != 0).double()
    if isinstance(node, nodes.Linear):
        return nonzero.sum(-1, keepdim=True)
    assert isinstance(node, nodes.Conv)
    ones = np.ones((node.groups, *node.weight.shape[1:]))
    counted = synapse.apply(node.with_(weight=ones, bias=None), nonzero)
    return counted.repeat_interleave(node.channels // node.groups, dim=2)
