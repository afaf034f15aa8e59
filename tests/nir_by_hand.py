"""NIR's differential equations stepped by Euler's rule in float64, straight from nir's documentation.

Knows nothing of spikeport. `run` takes a nir.NIRGraph, frames [T, B, ...] and dt; gives what leaves each node,
[T, B, ...]. A recurrent edge carries the value of the step before; before the first step nothing has left any node.
"""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np


def graph(edges=None, **nodes):
    names = list(nodes)
    edges = edges or list(pairwise(names))
    return nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)


def ends(shape_in, shape_out=None):
    return nir.Input(np.array(shape_in)), nir.Output(np.array(shape_out or shape_in))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def lif(*shape, seed=1, **fields):
    rng = np.random.default_rng(seed)
    values = {
        "tau": rng.uniform(2e-3, 9e-3, shape),
        "r": rng.uniform(1, 4, shape),
        "v_leak": rng.normal(0, 0.1, shape),
        "v_threshold": rng.uniform(0.2, 0.6, shape),
        "v_reset": rng.normal(0, 0.1, shape),
    }
    return nir.LIF(**values | fields)


def cuba(*shape, seed=2, **fields):
    rng = np.random.default_rng(seed)
    values = {
        "tau_syn": rng.uniform(2e-3, 9e-3, shape),
        "tau_mem": rng.uniform(2e-3, 9e-3, shape),
        "r": rng.uniform(1, 4, shape),
        "v_leak": rng.normal(0, 0.1, shape),
        "w_in": rng.uniform(1, 3, shape),
        "v_threshold": rng.uniform(0.2, 0.6, shape),
        "v_reset": np.zeros(shape),
    }
    return nir.CubaLIF(**values | fields)


def run(graph, frames, dt, order=None):
    order = order or list(graph.nodes)
    edges = graph.edges
    state: dict = {}
    before: dict = {}
    history: dict = {name: [] for name in graph.nodes}
    for frame in frames:
        now: dict = {}
        for name in order:
            node = graph.nodes[name]
            if isinstance(node, nir.Input):
                now[name] = np.asarray(frame, np.float64)
                continue
            total = 0.0
            for a, b in edges:
                if b == name:
                    total = total + (now[a] if a in now else before.get(a, 0.0))
            now[name] = step(node, total, state.setdefault(name, {}), dt, len(frame))
        for name, value in now.items():
            history[name].append(value)
        before = now
    return {name: np.stack(values) for name, values in history.items()}


def step(node, x, state, dt, batch):  # noqa: C901
    if isinstance(node, nir.Output):
        return x
    if isinstance(node, nir.Affine | nir.Linear):
        x = np.zeros((batch, node.weight.shape[1])) if np.ndim(x) == 0 else x  # nothing has come yet
        return x @ node.weight.T + getattr(node, "bias", 0.0)
    if isinstance(node, nir.Scale):
        return x * node.scale
    if isinstance(node, nir.Threshold):
        return (x > node.threshold).astype(float)
    if isinstance(node, nir.Flatten):
        return x.reshape(len(x), -1)
    if isinstance(node, nir.Delay):
        past = state.setdefault("past", [])
        past.append(x)
        steps = np.broadcast_to(np.rint(node.delay / dt).astype(int), x.shape[1:])
        out = np.zeros_like(x)
        for wait in np.unique(steps):
            if wait < len(past):
                out[:, steps == wait] = past[-1 - wait][:, steps == wait]
        return out
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        return convolve(node, x)
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        total = pool(node, x)
        return total if isinstance(node, nir.SumPool2d) else total / np.prod(node.kernel_size)
    v = state.get("v", np.zeros_like(x))
    if isinstance(node, nir.CubaLIF | nir.CubaLI):
        i = state.get("i", np.zeros_like(x))
        i = i + dt / node.tau_syn * (-i + node.w_in * x)
        state["i"] = i
        v = v + dt / node.tau_mem * ((node.v_leak - v) + node.r * i)
    elif isinstance(node, nir.LIF | nir.LI):
        v = v + dt / node.tau * ((node.v_leak - v) + node.r * x)
    else:  # I, IF
        v = v + dt * node.r * x
    if isinstance(node, nir.I | nir.LI | nir.CubaLI):
        state["v"] = v
        return v
    fired = v > node.v_threshold
    state["v"] = np.where(fired, node.v_reset, v)
    return fired.astype(float)


def pair(value, axes):
    value = np.asarray(value).reshape(-1)
    return [int(v) for v in (value if len(value) == axes else np.repeat(value, axes))]


def convolve(node, x):
    axes = node.weight.ndim - 2
    stride, dilation = pair(node.stride, axes), pair(node.dilation, axes)
    kernel = node.weight.shape[2:]
    if isinstance(node.padding, str):
        total = [d * (k - 1) if node.padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        sides = [(n // 2, n - n // 2) for n in total]
    else:
        sides = [(p, p) for p in pair(node.padding, axes)]
    x = np.pad(x, [(0, 0), (0, 0), *sides])
    outputs, inputs = node.weight.shape[0] // node.groups, node.weight.shape[1]
    size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    y = np.zeros((len(x), node.weight.shape[0], *size))
    for place in np.ndindex(*size):
        window = tuple(
            slice(p * s, p * s + d * (k - 1) + 1, d) for p, s, d, k in zip(place, stride, dilation, kernel, strict=True)
        )
        for g in range(node.groups):
            part = x[(slice(None), slice(g * inputs, (g + 1) * inputs), *window)].reshape(len(x), -1)
            weight = node.weight[g * outputs : (g + 1) * outputs].reshape(outputs, -1)
            y[(slice(None), slice(g * outputs, (g + 1) * outputs), *place)] = part @ weight.T
    return y + np.reshape(node.bias, (-1, *(1,) * axes))


def pool(node, x):
    kernel, stride, padding = (pair(v, 2) for v in (node.kernel_size, node.stride, node.padding))
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    size = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    y = np.zeros((*x.shape[:2], *size))
    for r, c in np.ndindex(*size):
        y[:, :, r, c] = x[
            :, :, r * stride[0] : r * stride[0] + kernel[0], c * stride[1] : c * stride[1] + kernel[1]
        ].sum((2, 3))
    return y
