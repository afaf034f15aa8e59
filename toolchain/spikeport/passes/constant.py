"""What a constant becomes on its way to the neurons."""

from __future__ import annotations

import numpy as np

from spikeport.findings import fail
from spikeport.graph import (
    LIF,
    Array,
    CubaLIF,
    Flatten,
    Graph,
    Node,
    Norm,
    Operation,
    Pool,
    Readout,
    Real,
    Scale,
    StepAffine,
    Synapse,
    meaning,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.passes.linear import real_dtype


def add_constant(graph: Graph, name: str, value: Array, pass_name: str) -> Graph:
    """Add ``value`` (float64, the shape of what leaves ``name``) to what leaves ``name``, at every step.

    It is carried through the linear nodes behind it, borders and paddings included, into the biases of the neurons, the
    readout and the `StepAffine` that it reaches; before a current that decays it becomes one. Raises SP351 where
    something on the way keeps it from being a constant of a neuron.
    """
    if not value.any():
        return graph
    if not graph.targets(name):
        _stuck(name, graph[name], pass_name, "the graph ends here without a Readout, so there is no bias to hold it")
    for target in graph.targets(name):
        node = graph[target]
        if isinstance(node, CubaLIF) and node.current_decay.any():  # which filters it: it stays what enters
            graph = graph.insert(_free(graph, f"{name}.bias"), _always(graph, value, pass_name), (name, target))
        elif isinstance(node, LIF | Readout):
            graph = graph.replace({target: _more_bias(graph, target, node, value, pass_name)})
        elif isinstance(node, StepAffine):
            graph = graph.replace({target: _at_each_step(node, value, real_dtype(graph, pass_name))})
        elif isinstance(node, Operation):
            graph = add_constant(graph, target, _operated(graph, target, node, name, value, pass_name), pass_name)
        elif isinstance(node, Synapse | Pool | Flatten | Scale | Norm):
            graph = add_constant(graph, target, _image(node, value), pass_name)
        else:
            _stuck(target, node, pass_name, "it holds a constant back for some steps")
    return graph


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


def _at_each_step(node: StepAffine, value: Array, dtype: np.dtype[np.floating]) -> Node:
    gain, bias = (schedule_over_neurons(array, value.shape).astype(np.float64) for array in (node.gain, node.bias))
    whole = np.broadcast_to(bias + gain * value, (len(bias), *value.shape))
    flat = whole.reshape(*whole.shape[:2], -1)
    return node.with_(bias=(flat[..., 0] if (flat == flat[..., :1]).all() else whole).astype(dtype))


def _always(graph: Graph, value: Array, pass_name: str) -> StepAffine:
    """The constant as what each step adds."""
    dtype = real_dtype(graph, pass_name)
    bias = np.broadcast_to(compact(value), (graph.timesteps, *compact(value).shape))
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
