"""Small networks that the tests of the quantisation share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spikeport.engine import simulate
from spikeport.graph import LIF, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Pool, Readout
from spikeport.target import Request

STEPS = 4
THETA = np.asarray([1, 0.9, 0.8, 0.95], np.float32)


def chain(**nodes):
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), timesteps=STEPS)


def normals(seed):
    rng = np.random.default_rng(seed)
    return lambda *shape: rng.normal(size=shape).astype(np.float32)


def uniform(n):
    return Readout((n,), np.full(STEPS, 1 / STEPS, np.float32))


def convolutional(seed=0, **neuron):
    """Convolution, average pool, two dense layers; per-timestep thresholds; biases at the synapses."""
    normal = normals(seed)
    return chain(
        input=Input((1, 8, 8)),
        conv=Conv(normal(8, 1, 3, 3) / 2, normal(8) / 10, padding=(1, 1)),
        lif1=LIF((8, 8, 8), np.float32(0.2), THETA, **neuron),
        pool=Pool("average", (2, 2), (2, 2)),
        flat=Flatten(),
        fc=Linear(normal(16, 128) / 4, normal(16) / 10),
        lif2=LIF((16,), np.float32(0.3), THETA, **neuron),
        out_fc=Linear(normal(10, 16) / 8, normal(10) / 100),
        out=uniform(10),
    )


def residual(seed=0):
    """A SEW block: the spikes of two layers add up to 0, 1 or 2."""
    normal = normals(seed)
    nodes = {
        "input": Input((1, 8, 8)),
        "conv1": Conv(normal(4, 1, 3, 3) / 2, padding=(1, 1)),
        "lif1": LIF((4, 8, 8), np.float32(0.2), THETA),
        "conv2": Conv(normal(4, 4, 3, 3) / 3, padding=(1, 1)),
        "lif2": LIF((4, 8, 8), np.float32(0.25), THETA),
        "conv3": Conv(normal(6, 4, 3, 3) / 4, padding=(1, 1), stride=(2, 2)),
        "lif3": LIF((6, 4, 4), np.float32(0.25), THETA),
        "flat": Flatten(),
        "fc": Linear(normal(10, 96) / 8),
        "out": uniform(10),
    }
    names = ["input", "conv1", "lif1", "conv2", "lif2", "conv3", "lif3", "flat", "fc", "out"]
    return Graph(nodes, (*pairwise(names), ("lif1", "conv3")), STEPS)


def recurrent(seed=0):
    """Two synapses into one layer, one of them from its own past."""
    normal = normals(seed)
    nodes = {
        "input": Input((12,)),
        "fc": Linear(normal(16, 12) / 2),
        "lif": LIF((16,), np.float32(0.5), THETA),
        "past": Delay((16,)),
        "back": Linear(normal(16, 16) / 8),
        "out_fc": Linear(normal(10, 16) / 4),
        "out": uniform(10),
    }
    edges = (
        ("input", "fc"),
        ("fc", "lif"),
        ("lif", "past"),
        ("past", "back"),
        ("back", "lif"),
        ("lif", "out_fc"),
        ("out_fc", "out"),
    )
    return Graph(nodes, edges, STEPS)


def filtered(seed=0):
    """Neurons with a synaptic current, reset by subtraction."""
    normal = normals(seed)
    return chain(
        input=Input((12,)),
        fc=Linear(normal(24, 12) / 2),
        cuba=CubaLIF((24,), np.float32(0.7), THETA, reset="subtract", current_decay=np.float32(0.4)),
        out_fc=Linear(normal(10, 24) / 4),
        out=uniform(10),
    )


def images(n=20, seed=0):
    return np.random.default_rng(seed).integers(0, 17, (n, 1, 8, 8)).astype(np.float32) / 16


def vectors(n=40, seed=0):
    return np.random.default_rng(seed).integers(0, 17, (n, 12)).astype(np.float32) / 16


#: each with the samples it takes
EXAMPLES = {
    "convolutional": (convolutional, images),
    "residual": (residual, images),
    "recurrent": (recurrent, vectors),
    "filtered": (filtered, vectors),
}


def spikes(graph, samples):
    """Every layer's spikes, and the record."""
    record = simulate(graph, samples, Request(trains=True))
    return {name: train.unpack() for name, train in record.trains.items()}, record
