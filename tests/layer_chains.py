"""Chains of layers of Loihi's integers, random in whatever a layer can be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Loihi, Pool, Readout


class Net:
    """A chain of layers in the making."""

    def __init__(self, seed, shape, steps, coding="events", high=1):
        self.rng, self.steps = np.random.default_rng(seed), steps
        self.nodes, self.shape = {"input": Input(shape, coding, unit=np.float64(1), low=0, high=high)}, shape
        self.beside, self.ways = {}, []  # nodes beside the chain, and the edges that lead through them

    def add(self, node):
        self.nodes[f"{type(node).__name__}{len(self.nodes)}"] = node
        self.shape = node.output_shape(self.shape)
        return self

    def weights(self, *shape):
        return self.rng.integers(-128, 128, shape).astype(np.int8)

    def spikes(self, synapse, reset="zero"):
        self.add(synapse)
        channels, low = self.shape[0], self.rng.integers(-300, 300)
        theta = self.rng.integers(low, low + 900, (self.steps, channels)).clip(0)
        decay, bias = self.rng.integers(1, 4097, channels), self.rng.integers(-900, 900, channels)
        lowest = -np.random.default_rng(channels).integers(0, 9000, channels)
        bound = {"lower_bound": lowest} if channels % 3 == 0 else {}
        leak = {"current_decay": decay * 3 % 4096} if channels % 5 == 1 else {}
        kind, told = CubaLIF if leak else LIF, bound | leak | {"bias": bias, "compare": ">", "reset": reset}
        return self.add(kind(self.shape, decay, theta, gain=np.asarray(1), **told))

    def fed_back(self, order=("delay", "matrix")):
        """The last neurons feed back to themselves."""
        name, (size,) = next(reversed(self.nodes)), self.shape
        matrix = Linear(self.weights(size, size), exponent=self.rng.integers(-2, 1))
        parts = {"delay": Delay(self.shape, 1), "matrix": matrix}
        way = [name, *(f"{name}.{part}" for part in order), name]
        self.beside |= {f"{name}.{part}": node for part, node in parts.items()}
        self.ways += pairwise(way)
        return self

    def graph(self, profile=LOIHI2):
        edges = (*pairwise(self.nodes), *self.ways)
        return Graph(self.nodes | self.beside, edges, self.steps, Loihi(profile))

    def samples(self, number):
        node, rate = self.nodes["input"], self.rng.random()
        size = (self.steps, number, *node.shape) if node.coding == "events" else (number, *node.shape)
        return self.rng.integers(0, int(node.high) + 1, size) * (self.rng.random(size) < rate)


def lines(channels):
    net = Net(channels, (channels, 9), (255, 256, 257)[channels % 3])
    net.spikes(Conv(net.weights(131 - channels, channels, 3), exponent=-1, stride=(2,), padding=(1,), dilation=(2,)))
    return net.spikes(Conv(net.weights(5, net.shape[0], 2), stride=(1,), padding=(0,), dilation=(1,)), "subtract")


def maps(channels):
    net = Net(channels, (1 + channels % 3, 7, 6), 3, "direct", high=255)
    net.spikes(Conv(net.weights(channels, net.shape[0], 3, 3), exponent=-2, padding=(1, 1), stride=(1, 2)), "none")
    net.spikes(Conv(net.weights(131 - channels, channels, 3, 2), padding=(2, 0)), "subtract")
    net.add(Pool("sum", (2, 2), (2, 1), (1, 0))).add(Flatten())
    net.spikes(Linear(net.weights(40, net.shape[0])))
    net.add(Linear(net.weights(4, 40), exponent=1))
    weight = net.rng.integers(1, 5, 3)
    return net.add(Readout((4,), weight, bias=net.rng.integers(-99, 99, 4)))


def features(channels):
    net = Net(channels, (channels,), 4, high=1 + 7 * (channels % 2))
    net.spikes(Linear(net.weights(3, channels))).spikes(Linear(net.weights(700, 3)), "none")
    net.add(Linear(net.weights(2, 700), exponent=-3))
    return net.add(Readout((2,), np.ones(4, np.int64), bias=np.asarray(7)))


def fed_back(channels, steps=None):
    """Two layers that feed back, the first of bytes or spikes; behind them a readout, or neurons and one of these."""
    net = Net(channels, (channels,), steps or (255, 256, 257)[channels % 3], high=(1, 200)[channels % 2])
    net.spikes(Linear(net.weights(131 - channels, channels), exponent=-2)).fed_back()
    net.spikes(Linear(net.weights(40, 131 - channels)), "subtract").fed_back(("matrix", "delay"))
    if channels % 5 != 0:
        return net.spikes(Linear(net.weights(9, 40), exponent=2), "none")
    net.add(Linear(net.weights(4, 40)))
    return net.add(Readout((4,), np.ones(net.steps, np.int64), bias=net.rng.integers(-99, 99, 4)))
