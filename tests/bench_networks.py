"""The networks of the engine's benchmarks: integer graphs of random weights, and the same network in eager PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from spikeport.graph import (
    LIF,
    LOIHI2,
    Conv,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Pool,
    Readout,
    Real,
    Scale,
    Synapse,
)

ADAPTING = {
    "alpha": 0.9,
    "beta": 0.97,
    "a": 0.1,
    "b": 0.5,
}  #: `adapting`: how much u and w keep, and w takes up of u and of spikes
RATE = 0.15  # share of input values and, by the choice of thresholds, about that of the neurons that spike


class Network:
    """An integer graph in the making: random mantissas, and thresholds at which about `RATE` of the neurons fire."""

    def __init__(self, shape, steps, coding, high=1, seed=0):
        self.rng = np.random.default_rng(seed)
        self.steps, self.nodes, self.edges = steps, {}, []
        self.nodes["input"] = Input(shape, coding, unit=np.float64(1), low=0, high=high)
        self.shape = {"input": shape}

    def add(self, name, node, *sources):
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        self.shape[name] = node.output_shape(self.shape[sources[0]])
        return name

    def spiking(self, name, synapse, *sources):
        self.add(f"{name}.synapse", synapse, *sources)
        shape = self.shape[f"{name}.synapse"]
        bias = self.rng.integers(-64, 65, shape[0])
        threshold = np.ones(self.steps, np.int64)  # `calibrated` finds it
        lif = LIF(shape, decay=np.asarray(2048), threshold=threshold, bias=bias, compare=">", gain=np.asarray(1))
        self.add(f"{name}.neurons", lif, f"{name}.synapse")
        return f"{name}.neurons"

    def conv(self, name, channels, *sources, kernel=3, stride=1):
        shape = (channels, self.shape[sources[0]][0], kernel, kernel)
        exponent = -3 if sources == ("input",) and self.nodes["input"].high > 1 else 0  # sums of pixels within 24 bits
        node = Conv(self.weights(shape), exponent=exponent, stride=(stride,) * 2, padding=(kernel // 2,) * 2)
        return self.spiking(name, node, *sources)

    def weights(self, shape):
        return self.rng.integers(-127, 128, shape).astype(np.int8)

    def graph(self, classes, *sources):
        size = self.shape[sources[0]]
        last = self.add("fc", Linear(self.weights((classes, size[0]))), *sources)
        self.add("out", Readout((classes,), np.ones(self.steps, np.int64), bias=np.asarray(0)), last)
        return self.ends()

    def ends(self):
        """The graph as it is."""
        return calibrated(Graph(self.nodes, tuple(self.edges), self.steps, Loihi(LOIHI2)))


def calibrated(graph):
    """The graph with thresholds that about `RATE` of the inputs of each layer exceed, a little higher at each step."""
    layers = {}

    def choose(node, x):
        theta = int(torch.quantile(x[0].flatten()[:100_000], 1 - RATE).clamp(1, 2**17 - 100))
        return theta + np.arange(graph.timesteps)

    with torch.inference_mode():
        eager(graph, lambda name, node, x: layers.setdefault(name, choose(node, x)))(
            torch.as_tensor(samples(graph, 2, seed=9), dtype=torch.float32)
        )
    return graph.replace({name: graph[name].with_(threshold=theta) for name, theta in layers.items()})


def mlp(steps=4, inputs=784, hidden=512):
    """784-512-10."""
    net = Network((inputs,), steps, "events")
    return net.graph(10, net.spiking("hidden", Linear(net.weights((hidden, inputs))), "input"))


def two_convolutions(steps=4, channels=64, size=32):
    """Two 3x3 convolutions of `channels` on maps of 32 x 32."""
    net = Network((channels, size, size), steps, "events")
    net.conv("two", channels, net.conv("one", channels, "input"))
    return net.ends()


def resnet19(steps=2, width=128, size=32):
    """ResNet-19 (Zheng et al., AAAI 2021) that adds spikes: 17 convolutions on the main way, two dense layers."""
    net = Network((3, size, size), steps, "direct", high=255)
    at = (net.conv("start", width, "input"),)
    for stage, (blocks, factor) in enumerate(((3, 1), (3, 2), (2, 4))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            name = f"stage{stage}.{block}"
            first = net.conv(f"{name}.a", width * factor, *at, stride=stride)
            second = net.conv(f"{name}.b", width * factor, first)
            if stride == 2 or len(at) > 1:
                same = stride == 1
                at = (
                    (second, net.conv(f"{name}.way", width * factor, *at, kernel=1, stride=stride))
                    if not same
                    else (second, at[0])
                )
            else:
                at = (second, at[0])
    pool = net.add("pool", Pool("sum", (size // 4,) * 2, (size // 4,) * 2), *at)
    flat = net.add("flat", Flatten(), pool)
    return net.graph(10, net.spiking("dense", Linear(net.weights((width * 2, width * 4))), flat))


def recurrent(steps, hidden, *, integers=True):
    """40 inputs, and neurons whose spikes come back by a matrix a step later; about an eighth fires at a step."""
    rng = np.random.default_rng(0)

    def weight(outputs, inputs, scale):
        value = rng.normal(0, scale * (60 if integers else 1), (outputs, inputs))
        return value.clip(-128, 127).astype(np.int8 if integers else np.float32)

    theta = np.full(steps, 60) if integers else np.ones(steps, np.float32)
    decay, bias = (np.int64(3686), np.int64(0)) if integers else (np.float32(0.9), np.float32(0))
    nodes = {
        "in": Input((40,), "events", low=0, high=1),
        "fc": Linear(weight(hidden, 40, 0.25)),
        "lif": LIF((hidden,), decay, theta, bias=bias, compare=">", reset="subtract"),
        "past": Delay((hidden,), 1),
        "back": Linear(weight(hidden, hidden, 0.3 / hidden**0.5)),
        "last": Linear(weight(10, hidden, 0.1)),
        "out": Readout((10,), np.ones(steps, np.int64 if integers else np.float32)),
    }
    edges = [("in", "fc"), ("fc", "lif"), ("lif", "past"), ("past", "back"), ("back", "lif"), ("lif", "last")]
    return Graph(nodes, (*edges, ("last", "out")), steps, arithmetic=Loihi(LOIHI2) if integers else Real())


def adapting(steps, hidden):
    """As `recurrent` in float32, with a second state that takes up membranes and spikes: SparCh's RadLIF."""
    graph, alpha = recurrent(steps, hidden, integers=False), ADAPTING["alpha"]
    lif = LIF((hidden,), np.float32(0), np.full(steps, 0.05, np.float32), compare=">", reset="none")
    factors = {"drive": 1 - alpha, "w": 1, "w.off": alpha - 1, "u.keep": alpha, "u.back": -alpha, "u": 1}
    factors |= {f"w.{name}": ADAPTING[name] for name in ("beta", "a", "b")}
    nodes = {**graph.nodes, "lif": lif, **{name: Scale(np.float32(factor)) for name, factor in factors.items()}}
    nodes |= {"u.past": Delay((hidden,), 1), "w.past": Delay((hidden,), 1)}
    into = {
        "fc": ("in",),
        "drive": ("fc", "back"),
        "w": ("w.beta", "w.a", "w.b"),
        "w.off": ("w",),
        "w.beta": ("w.past",),
    }
    into |= {"w.a": ("u.past",), "w.b": ("past",), "u.keep": ("u.past",), "u.back": ("past",), "lif": ("u",)}
    into |= {"u": ("drive", "w.off", "u.keep", "u.back"), "past": ("lif",), "back": ("past",), "last": ("lif",)}
    into |= {"u.past": ("u",), "w.past": ("w",), "out": ("last",)}
    return graph.with_(nodes=nodes, edges=tuple((source, name) for name, all_ in into.items() for source in all_))


def samples(graph, batch, seed=0):
    """Input bytes: spikes at `RATE`, or pixels."""
    rng, node = np.random.default_rng(seed), graph.nodes[graph.input]
    size = (graph.timesteps, batch, *node.shape) if node.coding == "events" else (batch, *node.shape)
    return rng.integers(0, 256, size, dtype=np.uint8) if node.high > 1 else (rng.random(size) < RATE).astype(np.uint8)


def eager(graph, thresholds=None, device="cpu"):
    """The same network in eager float32 PyTorch, as one writes it: all steps through a layer, neurons step by step.

    ``thresholds(name, node, x)``, where given, chooses the thresholds of a layer when its input is known.
    """
    layers = []
    for name in graph.order:
        node = graph.nodes[name]
        weight = None
        if isinstance(node, Synapse):
            weight = torch.tensor(node.weight * 2.0**node.exponent, dtype=torch.float32, device=device)
        theta = bias = None
        if isinstance(node, LIF):
            theta = torch.tensor(np.array(node.threshold), dtype=torch.float32, device=device) * 64
            bias = torch.tensor(np.array(node.bias), dtype=torch.float32, device=device)
            bias = bias.reshape(-1, *(1,) * (len(node.shape) - 1))
        layers.append((name, node, graph.sources(name), weight, theta, bias))

    def run(x):
        values = {}
        for name, node, sources, weight, theta, bias in layers:
            x = sum((values[s] for s in sources[1:]), values[sources[0]]) if sources else x
            if thresholds and isinstance(node, LIF):
                theta = torch.as_tensor(thresholds(name, node, x)).float() * 64
            values[name] = (
                neurons(x, float(node.decay) / 4096, theta, bias)
                if theta is not None
                else (passed(node, x, weight, graph.timesteps))
            )
        return values[graph.output]

    return run


def passed(node, x, weight, steps):
    """A node without state, [T, B, ...] to the same."""
    match node:
        case Input():
            return x.expand(steps, *x.shape) if node.coding == "direct" else x
        case Linear():
            return F.linear(x, weight)
        case Conv():
            y = F.conv2d(x.flatten(0, 1), weight, None, node.stride, node.padding)
            return y.reshape(*x.shape[:2], *y.shape[1:])
        case Pool():
            y = F.avg_pool2d(x.flatten(0, 1), node.kernel, node.stride, divisor_override=1)
            return y.reshape(*x.shape[:2], *y.shape[1:])
        case Flatten():
            return x.flatten(2)
        case Readout():
            return x.sum(0)
    raise AssertionError(node)


def neurons(x, decay, theta, bias):
    """A layer of LIF neurons, step by step."""
    v, spikes = 0.0, []
    for t in range(x.shape[0]):
        u = v * decay + x[t] * 64 + bias
        fired = (u > theta[t]).float()
        v = u * (1 - fired)
        spikes.append(fired)
    return torch.stack(spikes)
