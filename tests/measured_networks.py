"""Networks whose energy or time was measured on chips, as graphs, and runs with the activity that was published.

Which neurons fire was not published with the networks: spikes are spread evenly at random, with a fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear
from spikeport.mapping import Mapping
from spikeport.mapping.fit import fit
from spikeport.record import Record, Train
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
        sent = {name: rng.random((steps, 1, *self.graph.shapes[name])) < rate for name, rate in self.rates.items()}
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
