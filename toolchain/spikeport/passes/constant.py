"""What a constant becomes on its way to the neurons."""

from __future__ import annotations

import numpy as np

from spikeport.findings import fail
from spikeport.graph import (
    LIF,
    Array,
    CubaLIF,
    Delay,
    Edge,
    Graph,
    Node,
    Norm,
    Operation,
    Readout,
    Real,
    StepAffine,
    Synapse,
    meaning,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.graph.beside import beside_neurons
from spikeport.passes.linear import real_dtype


def add_constant(graph: Graph, name: str, value: Array, pass_name: str, late: int = 0) -> Graph:
    """Add ``value`` (float64, the shape of what leaves ``name``) to what leaves ``name``, from step ``late`` on.

    It is carried through the linear nodes behind it, borders and paddings included, into the biases of the neurons, the
    readout and the `StepAffine` that it reaches; before a current that decays it becomes one. Behind a `Delay` it comes
    as many steps later: it is a bias there, too, and a `StepAffine` takes it off again at the steps before. Raises
    SP351 where something on the way keeps it from being a constant of a neuron.
    """
    if not value.any() or (late >= graph.timesteps and graph.after_end == "error"):
        return graph
    if late and (graph.after_end == "cycle" or late >= graph.timesteps):
        why = f"it comes {late} steps late, and schedules for the steps past the last say otherwise"
        _stuck(name, graph[name], pass_name, f"{why} (after_end is {graph.after_end!r})")
    if not graph.targets(name):
        _stuck(name, graph[name], pass_name, "the graph ends here without a Readout, so there is no bias to hold it")
    for target in graph.targets(name):
        node = graph[target]
        if isinstance(node, CubaLIF) and node.current_decay.any():  # which filters it: it stays what enters
            steps = _steps(graph, value, slice(late, None), pass_name)
            graph = graph.insert(_free(graph, f"{name}.bias"), steps, (name, target))
        elif isinstance(node, LIF | Readout):
            graph = graph.replace({target: _more_bias(graph, target, node, value, pass_name)})
            graph = _without(graph, (name, target), value, late, pass_name) if late else graph
        elif isinstance(node, StepAffine):
            graph = graph.replace({target: _at_each_step(node, value, slice(late, None), real_dtype(graph, pass_name))})
        elif isinstance(node, Delay):
            if target in beside_neurons(graph):
                _stuck(target, node, pass_name, "it comes back to this node again and again, and grows or fades")
            graph = add_constant(graph, target, value, pass_name, late + node.steps)
        elif isinstance(node, Operation):
            graph = add_constant(graph, target, _operated(graph, target, node, name, value, pass_name), pass_name, late)
        else:
            graph = add_constant(graph, target, _image(node, value), pass_name, late)
    return graph


def _without(graph: Graph, edge: Edge, value: Array, late: int, pass_name: str) -> Graph:
    """The graph without ``value`` at the first ``late`` steps of what enters a node, where it is a bias already.

    What enters adds up, so any edge to the node will do. One straight behind a synapse carries sums, the only values to
    which integers add a number a step; so it is the first of these.
    """
    (_, target), first = edge, slice(None, late)
    sources = graph.sources(target)
    for source in sources:
        node = graph[source]
        if isinstance(node, StepAffine) and graph.targets(source) == (target,):
            return graph.replace({source: _more(node, -value[None], first, real_dtype(graph, pass_name))})
    behind = [source for source in sources if isinstance(graph[source], Synapse)]
    source = behind[0] if behind else edge[0]
    return graph.insert(_free(graph, f"{edge[0]}.bias"), _steps(graph, -value, first, pass_name), (source, target))


def _image(node: Node, value: Array) -> Array:
    """What a node makes of one frame more, [*shape] float64: its linear part, without constants of its own."""
    frame = value[None, None]
    if isinstance(node, Synapse):
        return np.asarray(meaning.products(node, frame)[0, 0])
    if isinstance(node, Norm):
        return np.asarray(value * over_neurons(node.gain_and_shift(np.float64)[0], value.shape))
    return np.asarray(meaning.apply(node, frame, Real("float64"))[0, 0])


def _operated(graph: Graph, name: str, node: Operation, source: str, value: Array, pass_name: str) -> Array:
    """What an operation makes of a constant in what leaves ``source``, [*shape] float64.

    Beside zeros in its other operands, and the same when everything turns its sign: a maximum over windows is moved by
    a constant that is the same over each.
    """
    zeros = {group: np.zeros((1, 1, *graph.shapes[group])) for group in node.operands}
    frames = [{**zeros, source: sign * value[None, None]} for sign in (1, -1)]
    first, second = (node.compute(*(x[each] for each in node.operands or (source,)))[0, 0] for x in frames)
    if node.multiplies or not np.array_equal(first, -second):
        _stuck(name, node, pass_name, "what it becomes there depends on the other values")
    return np.asarray(first)


def _at_each_step(node: StepAffine, value: Array, when: slice, dtype: np.dtype[np.floating]) -> StepAffine:
    """The node with what it makes of ``value`` in what enters it at the steps ``when``."""
    gain = schedule_over_neurons(node.gain, value.shape).astype(np.float64)
    return _more(node, gain * value, when, dtype)


def _more(node: StepAffine, added: Array, when: slice, dtype: np.dtype[np.floating]) -> StepAffine:
    """The node with ``added`` [T or 1, *shape] in its biases of the steps ``when``."""
    shape = added.shape[1:]
    bias = schedule_over_neurons(node.bias, shape).astype(np.float64)
    whole = np.array(np.broadcast_to(bias, (len(node.bias), *shape)))
    whole[when] += np.broadcast_to(added, whole.shape)[when]
    flat = whole.reshape(*whole.shape[:2], -1)
    return node.with_(bias=(flat[..., 0] if (flat == flat[..., :1]).all() else whole).astype(dtype))


def _steps(graph: Graph, value: Array, when: slice, pass_name: str) -> StepAffine:
    """The constant as what the steps ``when`` add."""
    dtype = real_dtype(graph, pass_name)
    bias = np.zeros((graph.timesteps, *compact(value).shape))
    bias[when] = compact(value)
    return StepAffine(np.ones(graph.timesteps, dtype), bias.astype(dtype))


def _free(graph: Graph, wish: str) -> str:
    while wish in graph.nodes:
        wish += "_"
    return wish


def _stuck(name: str, node: Node, pass_name: str, why: str) -> None:
    fail(
        "SP351",
        f"{pass_name} cannot carry a constant past this {type(node).__name__}",
        where=f"node {name!r}",
        why=why,
        mend="put a neuron layer or a Readout between, or take the bias out of the layer before it",
    )


def _more_bias(graph: Graph, name: str, node: LIF | Readout, value: Array, pass_name: str) -> Node:
    dtype = real_dtype(graph, pass_name)
    gain = over_neurons(node.gain, node.shape).astype(np.float64) if isinstance(node, LIF) else 1.0
    bias = over_neurons(node.bias, node.shape).astype(np.float64) + gain * value
    return node.with_(bias=compact(np.broadcast_to(bias, node.shape)).astype(dtype))


def compact(value: Array) -> Array:
    """[C] where each channel of ``value`` [*shape] holds one number, else as it is."""
    flat = value.reshape(value.shape[0], -1)
    return flat[:, 0] if bool((flat == flat[:, :1]).all()) else value
