"""What the passes share: which synapses alone feed a node, and what a constant becomes on its way to the neurons."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from spikeport.findings import Finding, fail
from spikeport.graph import (
    LIF,
    Array,
    Conv,
    CubaLIF,
    Flatten,
    Graph,
    Linear,
    Node,
    Norm,
    Pool,
    Readout,
    Real,
    Scale,
    Synapse,
    over_neurons,
)


def real_dtype(graph: Graph, name: str) -> np.dtype[np.floating]:
    """The float type of a graph in Real arithmetic. Raises SP354 for integers."""
    if not isinstance(graph.arithmetic, Real):
        fail(
            "SP354", f"the pass {name} works on real numbers, this graph holds integers", mend="run it before quantize"
        )
    return np.dtype(graph.arithmetic.dtype)


def feeders(graph: Graph, name: str, through: tuple[type[Node], ...]) -> tuple[str, ...]:
    """The synapses that feed ``name`` and nothing else, through nodes of the types ``through``; () if there are others.

    Whatever scales these synapses scales what enters ``name``, and nothing but that.
    """
    found: list[str] = []
    for source in graph.sources(name):
        if graph.targets(source) != (name,):
            return ()
        if isinstance(graph[source], Synapse):
            found.append(source)
            continue
        behind = feeders(graph, source, through) if isinstance(graph[source], through) else ()
        if not behind:
            return ()
        found += behind
    return tuple(dict.fromkeys(found))


def scaled_outputs(node: Synapse, gain: Array, dtype: np.dtype[np.floating]) -> Synapse:
    """The synapse with each output channel times ``gain`` ([] or [C]): computed in float64, rounded once."""
    gain = np.broadcast_to(np.asarray(gain, dtype=np.float64), (node.channels,))
    weight = node.weight.astype(np.float64) * gain.reshape(-1, *(1,) * (node.weight.ndim - 1))
    bias = None if node.bias is None else (node.bias.astype(np.float64) * gain).astype(dtype)
    return node.with_(weight=weight.astype(dtype), bias=bias)


def scaled_inputs(node: Synapse, gain: Array, dtype: np.dtype[np.floating]) -> Synapse:
    """The synapse with each input channel times ``gain`` ([] or [C]): computed in float64, rounded once."""
    groups = node.groups if isinstance(node, Conv) else 1
    inputs = node.weight.shape[1]
    each = np.broadcast_to(np.asarray(gain, dtype=np.float64), (groups * inputs,)).reshape(groups, 1, inputs)
    weight = node.weight.astype(np.float64).reshape(groups, -1, inputs, *node.weight.shape[2:])
    weight = weight * each.reshape(*each.shape, *(1,) * (node.weight.ndim - 2))
    return node.with_(weight=weight.reshape(node.weight.shape).astype(dtype))


def add_constant(graph: Graph, name: str, value: Array, pass_name: str) -> Graph:
    """Add ``value`` (float64, the shape of what leaves ``name``) to what leaves ``name``, at every step.

    It is carried through the linear nodes behind it, borders and paddings included, into the biases of the neurons and
    the readout that it reaches. Raises SP351 where something on the way keeps it from being a constant of a neuron.
    """
    if not graph.targets(name):
        _stuck(name, graph[name], pass_name, "the graph ends here without a Readout, so there is no bias to hold it")
    for target in graph.targets(name):
        node = graph[target]
        if isinstance(node, CubaLIF):
            _stuck(target, node, pass_name, "its current filters what arrives, so a constant there is none in u")
        if isinstance(node, LIF | Readout):
            graph = graph.replace({target: _more_bias(graph, target, node, value, pass_name)})
        elif isinstance(node, Synapse | Pool | Flatten | Scale | Norm):
            image = apply(node, value)
            graph = add_constant(graph, target, image, pass_name)
        else:
            _stuck(target, node, pass_name, "it holds a constant back for some steps")
    return graph


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


def apply(node: Node, x: Array) -> Array:
    """What a node without state makes of one frame ``x`` [*shape] in float64: its linear part, without constants."""
    if isinstance(node, Linear):
        return np.asarray(node.weight.astype(np.float64) @ x)
    if isinstance(node, Conv):
        return _convolve(node, x)
    if isinstance(node, Pool):
        windows = _windows(x, node.kernel, node.stride, node.padding, (1,) * len(node.kernel))
        axes = tuple(range(-len(node.kernel), 0))
        total = np.asarray(windows.sum(axis=axes))
        return total / area(node) if node.kind == "average" else total
    if isinstance(node, Flatten):
        return x.reshape(-1)
    if isinstance(node, Norm):
        return np.asarray(x * over_neurons(norm_gain(node), x.shape))
    assert isinstance(node, Scale)
    return np.asarray(x * over_neurons(node.factor, x.shape).astype(np.float64))


def norm_gain(node: Norm) -> Array:
    """What a normalisation multiplies each channel by: float64 [C]."""
    gamma, var = node.gamma.astype(np.float64), node.var.astype(np.float64)
    return np.asarray(gamma * node.scale / np.sqrt(var + node.eps))


def area(node: Pool) -> int:
    """How many values one window of a pool covers."""
    return int(np.prod(node.kernel, dtype=np.int64))


def _convolve(node: Conv, x: Array) -> Array:
    windows = _windows(x, node.kernel, node.stride, node.padding, node.dilation)
    axes = len(node.kernel)
    weights = np.split(node.weight.astype(np.float64), node.groups)
    parts = np.split(windows, node.groups)
    over = [0, *range(-axes, 0)], [1, *range(2, 2 + axes)]
    return np.concatenate([np.tensordot(w, p, (over[1], over[0])) for w, p in zip(weights, parts, strict=True)])


def _windows(
    x: Array, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Array:
    """[C, *windows, *kernel] of ``x`` [C, *size], padded with zeros."""
    padded = np.pad(x, [(0, 0), *((p, p) for p in padding)])
    span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    axes = tuple(range(1, x.ndim))
    windows: Array = sliding_window_view(padded, span, axis=axes)  # type: ignore[call-overload]  # numpy's stub: one axis
    pick = (slice(None), *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))
    return np.asarray(windows[pick])


def finding(code: str, name: str, what: str, why: str, mend: str) -> Finding:
    """An error about one node."""
    return Finding(code, what, f"node {name!r}", why, mend)
