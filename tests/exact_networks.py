"""Networks whose numbers are small multiples of powers of two, and what the folding passes must not change in them.

Float64 is exact there in any order of summation: membranes meet their thresholds exactly all the time, and one wrong
bit shows as a spike.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Norm, Pool, Readout, Real
from spikeport.target import Request

T = 3
REAL = Real("float64")


def grid(rng, *shape, low=-8, high=9, unit=0.25):
    return rng.integers(low, high, shape) * unit


def norm(rng, channels, scale=1.0):
    """A normalisation whose square root is exact."""
    return Norm(
        gamma=rng.choice([-1.5, -0.25, 0.5, 0.75, 2.0], channels),
        beta=grid(rng, channels),
        mean=grid(rng, channels),
        var=rng.choice([0.25, 1.0, 4.0], channels),
        eps=0.0,
        scale=scale,
    )


def lif(rng, *shape, **changes):
    facts = {
        "decay": np.float64(rng.choice([0.5, 0.25, 1.0])),
        "threshold": grid(rng, T, low=1, high=12),
        "bias": grid(rng, shape[0], low=-2, high=3),
        "reset": str(rng.choice(["zero", "subtract", "value"])),
        "reset_value": np.float64(rng.choice([-0.5, 0.25])),
    }
    return LIF(shape, **(facts | changes))


def readout(rng, n):
    return Readout((n,), np.full(T, 0.25), bias=grid(rng, n))


def chain(**nodes):
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), T, REAL)


def image(rng, batch=4, shape=(2, 6, 6)):
    return grid(rng, batch, *shape)


def network(seed, *, scale=0.5, padding=1):
    """Convolution, norm, neurons, average pool, convolution, average pool, norm, neurons, dense."""
    rng = np.random.default_rng(seed)
    bias = None if seed % 2 else grid(rng, 4)
    return rng, chain(
        input=Input((2, 6, 6)),
        conv1=Conv(grid(rng, 4, 2, 3, 3), bias, padding=(1, 1)),
        bn1=norm(rng, 4, scale),
        lif1=lif(rng, 4, 6, 6),
        pool1=Pool("average", (2, 2), (2, 2)),
        conv2=Conv(grid(rng, 6, 2, 2, 2), grid(rng, 6), padding=(padding, padding), groups=2),
        pool2=Pool("average", (2, 2), (2, 2)),
        bn2=norm(rng, 6),
        lif2=lif(rng, 6, *(2, 2) if padding else (1, 1)),
        flatten=Flatten(),
        fc=Linear(grid(rng, 5, 24 if padding else 6), grid(rng, 5)),
        out=readout(rng, 5),
    )


def same_spikes(a, b, samples):
    before, after = (simulate(graph, samples, Request(trains=True)) for graph in (a, b))
    assume(sum(count.sum() for count in before.spike_counts.values()) > 0)
    for name, train in before.trains.items():
        np.testing.assert_array_equal(train.unpack(), after.trains[name].unpack(), err_msg=name)
    np.testing.assert_array_equal(before.outputs, after.outputs)


def code(build):
    with pytest.raises(SpikeportError) as caught:
        build()
    return caught.value.code
