"""nengo-loihi's blocks and ours on ten networks: what a layer takes of a core, and on how many cores it is split.

python tests/nengo_cores.py
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeport.graph import LIF, LOIHI1, Conv, Flatten, Graph, Input, Linear, Loihi
from spikeport.mapping import find, fit
from spikeport.mapping.tiling import Tile, filled
from spikeport_targets.nengo_loihi import child
from spikeport_targets.nengo_loihi.lowering import lower

T = 2
NAMES = {
    "compartments": "neurons",
    "synapses": "synapse_memory",
    "in-axons": "input_axons",
    "out-axons": "output_axons",
}
#: (input, layers): channels, kernel, stride of a convolution, or a number of dense neurons
NETWORKS = (
    ((64,), (100, 50, 10)),
    ((300,), (900, 40)),
    ((784,), (512, 10)),
    ((700,), (1500, 300, 20)),
    ((1, 12, 12), ((4, 3, 1), (8, 3, 2), 10)),
    ((2, 16, 16), ((8, 3, 2), (16, 3, 2), 64, 10)),
    ((2, 24, 24), ((6, 5, 1), (12, 3, 2), 11)),
    ((3, 32, 32), ((8, 3, 1), (16, 3, 2), (32, 3, 2), 10)),
    ((1, 28, 28), ((16, 5, 2), (32, 3, 2), 100, 10)),
    ((2, 34, 34), ((12, 5, 2), (24, 5, 2), (32, 3, 2), 64, 10)),
)


def network(shape, layers, seed=0):
    """Random mantissas without zeros; spikes enter."""
    rng = np.random.default_rng(seed)
    nodes = {"input": Input(shape, "events", low=0, high=1)}

    def neurons(name, shape):
        nodes[name] = LIF(shape, np.asarray(3000), np.full(T, 100), np.asarray(0), compare=">", gain=np.asarray(1))

    for i, layer in enumerate(layers):
        if isinstance(layer, tuple):
            channels, kernel, stride = layer
            weight = rng.integers(1, 100, (channels, shape[0], kernel, kernel))
            conv = Conv(weight, stride=(stride,) * 2, padding=(kernel // 2,) * 2)
            nodes[f"conv{i}"], shape = conv, conv.output_shape(shape)
        else:
            if len(shape) > 1:
                nodes["flat"], shape = Flatten(), (int(np.prod(shape)),)
            nodes[f"fc{i}"] = Linear(rng.integers(1, 100, (layer, shape[0])))
            shape = (layer,)
        neurons(f"lif{i}", shape)
    return Graph.chain(nodes, T, arithmetic=Loihi(replace(LOIHI1, accumulator_bits=None)))


def theirs(graph):
    """By layer: what nengo-loihi says the whole takes, how many blocks it makes of it, and limits that these break."""
    plan = lower(graph, np.zeros((1, T, *graph.entry.shape), np.int64), membranes=lambda name: False)
    worker = Path(child.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "plan"
        plan.write(place)
        command = [
            child.ENVIRONMENT.interpreter(),
            "-I",
            "-B",
            Path(__file__).with_name("nengo_cores_worker.py"),
            place,
        ]
        done = subprocess.run([*map(str, command), str(worker)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def ours(graph):
    """By layer: what the whole would take of one core, and on how many cores the tiles are."""
    chip, fits = find("loihi1"), fit(graph, "loihi1", sharing="unrolled")
    whole = {name: Tile(layer.layer.shape, 1, {}) for name, layer in fits.layers.items()}
    entries = {}
    for name, layer in fits.layers.items():
        after = [
            (p, whole[to]) for to, other in fits.layers.items() for p in other.layer.projections if name in p.senders
        ]
        tile = filled(layer.layer, layer.layer.shape, after, chip, 8, shared=False)
        entries[name] = {
            "whole": dict(tile.used),
            "cores": layer.tile.cores,
            "over": layer.tile.over(chip, tuple(NAMES.values())),
        }
    return entries


def rows():
    """A row a network: layers, limits that both count alike of whole layers, cores, and limits that blocks break."""
    for number, (shape, layers) in enumerate(NETWORKS):
        graph = network(shape, layers, number)
        mine, other = ours(graph), theirs(graph)
        for name, layer in mine.items():
            apart = {
                our: (layer["whole"][our], other[name]["whole"][their])
                for their, our in NAMES.items()
                if layer["whole"][our] != other[name]["whole"][their]
            }
            broken = sorted(NAMES[limit] for limit in other[name]["over"])
            yield number, name, graph.shapes[name], apart, layer["cores"], layer["over"], other[name]["cores"], broken


if __name__ == "__main__":
    for row in rows():
        print(*row, sep=" | ", flush=True)
