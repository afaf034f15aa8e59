"""Lava-DL's .net files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from format_mutants import bytes_mutant, nir_mutant
from net_files import conv, dense, even, neurons, write
from spikeport.engine import simulate
from spikeport.verbs.load import load_model


def nets(folder):
    """Convolutions behind input neurons, matrices that delay and feed back, a pool behind channels that are late."""
    rng = np.random.default_rng(0)
    driven = {"type": "input", "shape": [2, 6, 6], "neuron": neurons(), "weight": 40.0, "bias": 36.0}
    maps = [driven, conv(even(rng, 3, 2, 3, 3), [3, 4, 4], bias=even(rng, 3)), {"type": "flatten", "shape": [48]}]
    again = dense(even(rng, 4, 6), weight_rec=even(rng, 4, 4)) | {"type": "dense_rec"}
    last = dense(even(rng, 2, 4), neuron=neurons(iDecay=4096, vDecay=0, vThMant=131071))
    matrices = [dense(even(rng, 6, 5), delay=np.arange(6) % 3), again, last]
    pool = conv(np.full((1, 1, 2, 2), 26.0), [4, 2, 2], stride=[2, 2]) | {"type": "pool"}
    late = [conv(even(rng, 4, 1, 3, 3), [4, 4, 4], delay=np.arange(4)), pool, {"type": "flatten", "shape": [16]}]
    files = [([*maps, dense(even(rng, 3, 48))], 4), (matrices, None), ([*late, dense(even(rng, 3, 16))], 3)]
    return [(".net", write(folder / "a.net", layers, samples).read_bytes()) for layers, samples in files]


def mutated_net(ending, data, rng):
    """A group or array removed, renamed, linked away, or given another value or an absurd shape."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "m.net"
        path.write_bytes(data)
        try:
            nir_mutant(path, rng)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError):
            return bytes_mutant(data, rng)
        return path.read_bytes()


def read_net(path):
    """Read it, and run it where it is small."""
    graph = load_model(path).graph
    if sum(int(np.prod(shape)) for shape in graph.shapes.values()) * graph.timesteps < 10**5:
        frames = (1,) if graph.entry.coding == "direct" else (graph.timesteps, 1)
        simulate(graph, np.zeros((*frames, *graph.entry.shape), np.float32))
