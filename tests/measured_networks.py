"""Networks whose energy or time was measured on chips, as graphs, and runs with the activity that was published.

Which neurons fire was not published with the networks: spikes are spread evenly at random, with a fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool
from spikeport.mapping import Mapping
from spikeport.mapping.fit import fit
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport.verbs.energy import price
from spikeport.verbs.events import tally
from spikeport.verbs.load import load_model


@dataclass(frozen=True)
class Case:
    """A network, its timesteps for one inference, and the share of neurons that fires at a step, by node."""

    graph: Graph
    rates: dict[str, float]
    notes: str = ""

    def costs(self, chip, models, step_seconds=None):
        """What the verb `energy` says of a run with that activity, mapped on a chip."""
        rng = np.random.default_rng(0)
        steps = self.graph.timesteps
        sent = {name: spread(rng, (steps, 1, *self.graph.shapes[name]), rate) for name, rate in self.rates.items()}
        x = sent.pop(self.graph.input).astype(np.float32)
        record = Record(
            target="published activity",
            outputs=np.zeros((1, *self.graph.shapes[self.graph.output])),
            neurons={name: node.size for name, node in self.graph.nodes_of(LIF).items()},
            spike_counts={name: train.reshape(steps, -1).sum(1, dtype=np.int64) for name, train in sent.items()},
            trains={name: Train.pack(train) for name, train in sent.items()},
        )
        mapping = Mapping(self.graph, fit(self.graph, chip))
        counted = tally(load_model(self.graph), record, x, mapping)
        return price(counted, models, step_seconds=step_seconds)


def spread(rng, shape, rate):
    """So many spikes as the rate says, to the nearest whole number, anywhere."""
    spikes = np.zeros(shape, dtype=bool)
    spikes.reshape(-1)[rng.permutation(spikes.size)[: round(rate * spikes.size)]] = True
    return spikes


def dense(*sizes, steps, rate=0.1, name=""):
    """Layers of so many neurons, all with one rate."""
    nodes, rates = {"input": Input((sizes[0],), "events")}, {"input": rate}
    for number, (before, after) in enumerate(pairwise(sizes)):
        nodes[f"fc{number}"] = Linear(np.ones((after, before), np.float32))
        nodes[f"lif{number}"] = neurons(after, steps=steps)
        rates[f"lif{number}"] = rate
    return Case(Graph.chain(nodes, steps), rates, name)


def neurons(*shape, steps):
    return LIF(shape, np.float32(0.9), np.ones(steps, np.float32))


#: of lava-dl's benchmark: channels, kernel, stride, padding along (height, width), and the share that fires at a step
PILOTNET = (
    (24, (2, 2), (0, 0), 0.084),
    (36, (2, 2), (0, 0), 0.101),
    (48, (2, 2), (0, 0), 0.125),
    (64, (2, 1), (1, 0), 0.108),
    (64, (1, 1), (0, 0), 0.102),
)
FLAT = ((100, 0.068), (50, 0.036), (10, 0.019), (1, 0.0))


def pilotnet(steps=16):
    """PilotNet of lava-dl's benchmark, LIF: 200 x 66 x 3, one inference of 16 steps."""
    nodes, rates = {"input": Input((3, 66, 200), "events")}, {"input": 0.886}
    shape = (3, 66, 200)
    for number, (channels, stride, padding, rate) in enumerate(PILOTNET):
        conv = Conv(np.ones((channels, shape[0], 3, 3), np.float32), stride=stride, padding=padding)
        shape = conv.output_shape(shape)
        nodes |= {f"conv{number}": conv, f"lif{number}": neurons(*shape, steps=steps)}
        rates[f"lif{number}"] = rate
    nodes["flat"] = Flatten()
    before = int(np.prod(shape))
    for size, rate in FLAT:
        nodes |= {f"fc{size}": Linear(np.ones((size, before), np.float32)), f"out{size}": neurons(size, steps=steps)}
        rates[f"out{size}"] = rate
        before = size
    return Case(Graph.chain(nodes, steps), rates, "activity of another frame, spread evenly")


#: of MobileNet v1: channels of each pointwise convolution and the stride of the depthwise one before it
MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def mobilenet(size=128, steps=1):
    """MobileNet v1 of width 1 for images of 128 x 128, neurons behind every convolution; no activity is known."""
    weight = np.ones((32, 3, 3, 3), np.float32)
    nodes = {"input": Input((3, size, size), "events"), "stem": Conv(weight, stride=(2, 2), padding=(1, 1))}
    shape = nodes["stem"].output_shape((3, size, size))
    nodes["stem lif"] = neurons(*shape, steps=steps)
    for number, (channels, stride) in enumerate(MOBILENET):
        inputs = shape[0]
        each = Conv(np.ones((inputs, 1, 3, 3), np.float32), stride=(stride,) * 2, padding=(1, 1), groups=inputs)
        point = Conv(np.ones((channels, inputs, 1, 1), np.float32))
        middle = each.output_shape(shape)
        shape = point.output_shape(middle)
        nodes |= {f"depth{number}": each, f"depth lif{number}": neurons(*middle, steps=steps)}
        nodes |= {f"point{number}": point, f"point lif{number}": neurons(*shape, steps=steps)}
    nodes |= {"pool": Pool("average", shape[1:], shape[1:]), "flat": Flatten()}
    nodes |= {"fc": Linear(np.ones((1000, shape[0]), np.float32)), "lif": neurons(1000, steps=steps)}
    return Graph.chain(nodes, steps)
