"""How many bits of significand a graph of real numbers needs, so that no sum of it rounds, in whatever order.

Every value is a multiple of 2**-f and no partial sum is larger than m: floating point with at least
f + log2(m) bits of significand computes it exactly.
"""

from __future__ import annotations

from dataclasses import fields
from math import ceil, log2

import numpy as np

from spikeport.graph import ALIF, LIF, CubaLIF, Input, Norm, Operation, Peak, Pool, Readout, Scale, StepAffine, Synapse

SIGNIFICAND = {"float32": 24, "float64": 53}
PLAIN = [each.name for each in fields(LIF)]  #: what all neurons have
INPUT = (4, 2.0)  #: what `random_graphs.samples` draws: sixteenths up to 2


def places(*arrays):
    """The binary places behind the point that some arrays need."""
    values = np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])
    return next(f for f in range(1100) if np.array_equal(values * 2.0**f, np.rint(values * 2.0**f)))


def largest(array):
    return float(np.abs(np.asarray(array, np.float64)).max())


def significand(graph):
    """The bits that the most demanding node needs."""
    needed, leaving = [], {}

    def operands(name):
        parts = [[out_of(source) for source in group] for group in graph.operands(name)]
        return [(max(f for f, _ in group), sum(m for _, m in group)) for group in parts]

    def into(name):
        (part,) = operands(name)
        return part

    def out_of(name):
        node = graph.nodes[name]
        if isinstance(node, LIF):
            return 0, float(node.most_spikes)  # so that a loop, which has neurons in it, ends
        if name not in leaving:
            if isinstance(node, Operation):
                leaving[name] = operated(graph, name, node, operands(name))
            else:
                leaving[name] = INPUT if isinstance(node, Input) else through(node, *into(name))
        return leaving[name]

    for name, node in graph.nodes.items():
        if isinstance(node, LIF | Readout):
            f, m = (membrane if isinstance(node, LIF) else read_out)(node, *into(name), graph.timesteps)
        else:
            f, m = out_of(name)
        needed.append(f + log2(max(m, 1e-9)))
    return ceil(max(needed))


def operated(graph, name, node, parts):
    """At most as many products, or values, are added as what enters first has places."""
    if isinstance(node, StepAffine):
        ((f, m),) = parts
        return max(f + places(node.gain), places(node.bias)), m * largest(node.gain) + largest(node.bias)
    count = 1 if node.moves else int(np.prod(graph.input_shape(name)))
    deep, sizes = zip(*parts, strict=True)
    if node.multiplies:
        return sum(deep), count * float(np.prod(sizes))
    return max(deep), count * max(sizes)


def through(node, f, m):
    if isinstance(node, Synapse):
        weights = np.abs(node.weight.astype(np.float64)).reshape(len(node.weight), -1).sum(1).max()
        bias = 0.0 if node.bias is None else node.bias
        return max(f + places(node.weight), places(bias)), m * weights + largest(bias)
    if isinstance(node, Pool):
        area = int(np.prod(node.kernel))
        return f + (ceil(log2(area)) if node.kind == "average" else 0), m * area
    if isinstance(node, Scale):
        return f + places(node.factor), m * largest(node.factor)
    if isinstance(node, Norm):
        gain = node.gamma * node.scale / np.sqrt(node.var)
        deep = max(f, places(node.mean)) + places(node.gamma) + places(node.scale, 1 / np.sqrt(node.var))
        return max(deep, places(node.beta)), (m + largest(node.mean)) * max(1, largest(gain)) + largest(node.beta)
    return f, m  # delays and what only reshapes


def membrane(node, f, m, steps):
    if isinstance(node, ALIF):  # the rise is taken off a membrane, and with it from what stays after the reset
        deep = places(node.adaptation) + (steps - 1) * places(node.adaptation_decay)
        high = largest(node.adaptation) * kept(node.adaptation_decay, steps)
        f, m = membrane(LIF(**{name: getattr(node, name) for name in PLAIN}), f, m, steps)
        return max(f, deep + (steps - 1) * places(node.decay)), m + high * (1 + kept(node.decay, steps))
    theta = np.zeros(1) if isinstance(node, Peak) else node.threshold
    f, m = f + places(node.gain), m * max(1.0, largest(node.gain))
    if isinstance(node, CubaLIF):
        f, m = f + (steps - 1) * places(node.current_decay), m * kept(node.current_decay, steps)
    low = np.zeros(()) if node.lower_bound is None else node.lower_bound
    f = max(f, places(node.bias, node.reset_value, low, theta)) + (steps - 1) * places(node.decay)
    most = m + largest(node.bias) + largest(node.reset_value) + largest(low)
    return f, most * kept(node.decay, steps) + largest(theta)


def kept(decay, steps):
    """The sum of the powers of a decay."""
    return sum(largest(decay) ** step for step in range(steps))


def read_out(node, f, m, steps):
    f = max(f, places(node.bias)) + places(node.weight)
    return f, (m + largest(node.bias)) * float(np.abs(node.weight.astype(np.float64)).sum())
