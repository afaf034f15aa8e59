"""Synapse memory and input axons of a core equal what nengo-loihi 1.1.0, which programs real chips, takes for them.

Its numbers lie beside this file; `nengo_loihi_counts.py` makes them, in an environment of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikeport.graph import LIF, Conv, Graph, Input, Linear
from spikeport.mapping import find
from spikeport.mapping.fit import fit

THEIRS = json.loads((Path(__file__).parent / "nengo_loihi_1.1.0.json").read_text())
T = 2


def one_layer(shape, node):
    neurons = LIF(node.output_shape(shape), decay=np.float32(0.5), threshold=np.ones(T, np.float32))
    return Graph.chain({"input": Input(shape), "synapse": node, "layer": neurons}, T)


def used(graph, sharing):
    """What the layer takes, all of it on one core."""
    loihi1 = find("loihi1")
    room = {
        name: loihi1.limits[name].model_copy(update={"value": 10**9})
        for name in ("neurons", "synapse_memory", "input_axons")
    }
    boundless = loihi1.model_copy(update={"limits": {**loihi1.limits, **room}})
    layer = fit(graph, boundless, sharing=sharing).layers["layer"]
    assert layer.tile.cores == 1
    return layer.tile.used


@pytest.mark.parametrize("case", THEIRS["dense"], ids=lambda case: f"{case['inputs']}x{case['outputs']}")
def test_a_matrix(case):
    graph = one_layer((case["inputs"],), Linear(np.ones((case["outputs"], case["inputs"]), np.float32)))
    use = used(graph, "unrolled")
    assert use["synapse_memory"] == case["discrete"]["bits"]
    assert use["input_axons"] == case["discrete"]["axons"]


@pytest.mark.parametrize("case", THEIRS["conv"], ids=lambda case: "-".join(map(str, case["case"])))
def test_a_convolution(case):
    """To the bit; with population axons without the index bits of theirs, so that ours is a lower bound."""
    channels, size, filters, kernel, stride, padding = case["case"]
    pad = kernel // 2 if padding == "same" else 0
    node = Conv(np.ones((filters, channels, kernel, kernel), np.float32), stride=(stride,) * 2, padding=(pad,) * 2)
    graph = one_layer((channels, size, size), node)
    unrolled, shared = used(graph, "unrolled"), used(graph, "shared")
    assert unrolled["synapse_memory"] == case["discrete"]["bits"]
    assert unrolled["input_axons"] == case["discrete"]["axons"]
    assert shared["input_axons"] == case["population"]["axons"]
    assert shared["synapse_memory"] == case["population"]["bits_without_index"] < case["population"]["bits"]
