"""ResNet-19 (SEW) and VGGSNN at reduced width, in Loihi's integers, for Lava: all layers, random weights.

Layers and sizes as the published networks have them (DS-ATGO and MPD-AGL: ResNet19.py, VGGSNN.py), the width divided.
Thresholds are set layer by layer so that about a seventh of the neurons fire, differently at each step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Pool, Readout
from spikeport.target import Request
from spikeport_targets.lava import Lava

EVERYTHING = Request(trains=True, membranes=True)
RATE = 0.15


@dataclass
class Network:
    """A network that grows a layer at a time; ``samples`` set its thresholds."""

    rng: np.random.Generator
    steps: int
    samples: np.ndarray
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    shapes: dict = field(default_factory=dict)

    def add(self, name, node, *sources):
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        shape = self.shapes[sources[0]] if sources else node.shape
        self.shapes[name] = node.output_shape(shape)
        return name

    def graph(self, end):
        """What leads to a node."""
        wanted, waiting = {end}, [end]
        while waiting:
            name = waiting.pop()
            before = {a for a, b in self.edges if b == name} - wanted
            wanted |= before
            waiting += before
        nodes = {name: node for name, node in self.nodes.items() if name in wanted}
        edges = tuple(edge for edge in self.edges if set(edge) <= wanted)
        return Graph(nodes, edges, self.steps, Loihi(LOIHI2))

    def neurons(self, name, source):
        """Decay and bias at random, a threshold for each step at the wanted rate of the membranes without reset."""
        shape = self.shapes[source]
        node = LIF(
            shape,
            decay=np.asarray(self.rng.integers(1500, 4097)),
            threshold=np.full(self.steps, 2**17 - 1),
            bias=self.rng.integers(-300, 301, shape[0]),
            compare=">",
        )
        self.add(name, node, source)
        request = Request(membranes=True)
        membranes = simulate(self.graph(name), self.samples, request).membranes[name]
        theta = (
            np.quantile(membranes.reshape(self.steps, -1), 1 - RATE, axis=1)
            / 64
            * self.rng.uniform(0.8, 1.1, self.steps)
        )
        self.nodes[name] = node.with_(threshold=np.clip(np.rint(theta), 1, 2**17 - 1).astype(np.int64))
        return name

    def conv(self, name, sources, channels, kernel=3, stride=1):
        """A convolution of the sum of ``sources``, and neurons."""
        weight = self.rng.integers(-100, 101, (channels, self.shapes[sources[0]][0], kernel, kernel)).astype(np.int8)
        node = Conv(weight, stride=(stride, stride), padding=(kernel // 2,) * 2, exponent=-3 if kernel == 1 else 0)
        return self.neurons(f"{name}.neuron", self.add(name, node, *sources))

    def linear(self, name, source, features):
        weight = self.rng.integers(-100, 101, (features, self.shapes[source][0])).astype(np.int8)
        return self.add(name, Linear(weight), source)


def resnet19(width=16, steps=2, samples=2, seed=19):
    """SEW-ResNet-19 for 3 x 32 x 32; 128 is the published width. 19 weight layers and 2 convolutions on the skips."""
    rng = np.random.default_rng(seed)
    x = rng.random((samples, 3, 32, 32))
    net = Network(rng, steps, x)
    net.add("input", Input((3, 32, 32), unit=np.asarray(1 / 127), low=0, high=127))
    last = (net.conv("encode", ("input",), width),)
    for stage, blocks in enumerate((3, 3, 2)):
        for block in range(blocks):
            name, stride = f"stage{stage + 1}.{block}", 2 if stage and not block else 1
            channels = width << stage
            first = net.conv(f"{name}.conv1", last, channels, stride=stride)
            second = net.conv(f"{name}.conv2", (first,), channels)
            skip = (net.conv(f"{name}.down", last, channels, kernel=1, stride=2),) if stride == 2 else last
            last = (second, *skip)  # the sum is what several edges into one node are
    pooled = net.add("pool", Pool("sum", (8, 8), (8, 8)), *last)
    hidden = net.linear("fc1", net.add("flatten", Flatten(), pooled), 2 * width)
    out = net.linear("fc2", net.neurons("fc1.neuron", hidden), 10)
    net.add("readout", Readout((10,), np.ones(steps, int)), out)
    return net.graph("readout"), x


def vggsnn(width=8, steps=10, samples=2, seed=8):
    """VGGSNN for events 2 x 48 x 48; 64 is the published width."""
    rng = np.random.default_rng(seed)
    x = (rng.random((steps, samples, 2, 48, 48)) < 0.1).astype(np.float32)
    net = Network(rng, steps, x)
    last = net.add("input", Input((2, 48, 48), "events", unit=np.asarray(1.0), low=0, high=1))
    for place, factor in enumerate((1, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8, 0)):
        if factor:
            last = net.conv(f"conv{place}", (last,), factor * width)
        else:
            last = net.add(f"pool{place}", Pool("sum", (2, 2), (2, 2)), last)
    out = net.linear("fc", net.add("flatten", Flatten(), last), 10)
    net.add("readout", Readout((10,), np.ones(steps, int), bias=rng.integers(-500, 500, 10)), out)
    return net.graph("readout"), x


def compare(graph, samples):
    """Both runs of a network, and how much differs."""
    lava, engine = Lava().run(graph, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
    spikes = sum(int((lava.trains[n].unpack() != engine.trains[n].unpack()).sum()) for n in engine.trains)
    membranes = sum(int((lava.membranes[n] != engine.membranes[n]).sum()) for n in engine.membranes)
    return lava, engine, (spikes, membranes, int((lava.outputs != engine.outputs).sum()))


def rows():
    """The lines of the results page."""
    for title, make in (("ResNet-19 (SEW), width 128 / 8", resnet19), ("VGGSNN, width 64 / 8", vggsnn)):
        graph, samples = make()
        begun = time.monotonic()
        lava, engine, wrong = compare(graph, samples)
        seconds = time.monotonic() - begun
        compared = sum(int(np.prod(train.shape)) for train in engine.trains.values())
        fired = sum(int(counts.sum()) for counts in engine.spike_counts.values())
        facts = (title, engine.samples, graph.timesteps, len(engine.trains), f"{compared:,}", f"{fired:,}", *wrong)
        yield f"| {' | '.join(map(str, facts))} | {seconds:.0f} |"
        assert not lava.overflows, lava.overflows


if __name__ == "__main__":
    for row in rows():
        print(row, flush=True)
