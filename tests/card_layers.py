"""Layers in every way that the kernels of a card lay them out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.graph import LIF, LOIHI2, Conv, Graph, Input, Linear, Loihi

FORMAT = Loihi(replace(LOIHI2, name="wide messages", message_bits=24, weight_exponent=(-16, 7)))
BYTES, SIGNED, WIDE = (0, 255), (-128, 127), (-40_000, 1000)


def conv(rng, outputs, channels, *kernel, exponent=0, **options):
    weight = rng.integers(-128, 128, (outputs, channels // options.get("groups", 1), *kernel)).astype(np.int8)
    ones = (1,) * len(kernel)
    options = {"stride": ones, "padding": (0,) * len(kernel), "dilation": ones} | options
    return Conv(weight, exponent=exponent, **options)


#: how the layer lies on tensor cores: name, synapse, shape and range that enter
LAYERS = {
    "many channels": (lambda rng: conv(rng, 40, 40, 3, 3, padding=(1, 1)), (40, 4, 3), (0, 1)),
    "bytes": (lambda rng: conv(rng, 5, 40, 2, 3, padding=(2, 1), stride=(2, 1)), (40, 4, 5), BYTES),
    "few channels": (lambda rng: conv(rng, 17, 3, 3, 2, dilation=(1, 2), padding=(1, 2)), (3, 6, 5), BYTES),
    "signed": (lambda rng: conv(rng, 4, 2, 3, 3, exponent=-2), (2, 5, 5), SIGNED),
    "two digits": (lambda rng: conv(rng, 4, 36, 1, 1, stride=(2, 2), exponent=-9), (36, 5, 3), WIDE),
    "three digits": (lambda rng: conv(rng, 3, 2, 2, 2, exponent=-14), (2, 4, 4), (-9, 70_000)),
    "groups": (lambda rng: conv(rng, 36, 4, 3, 3, groups=2, padding=(1, 1)), (4, 4, 4), (0, 4)),
    "depthwise": (lambda rng: conv(rng, 6, 3, 3, 3, groups=3, padding=(1, 0), stride=(1, 2)), (3, 5, 6), WIDE),
    "one axis": (lambda rng: conv(rng, 6, 4, 5, stride=(2,), padding=(2,), dilation=(2,)), (4, 13), BYTES),
    "dense": (lambda rng: Linear(rng.integers(-128, 128, (33, 70)).astype(np.int8), exponent=1), (70,), (0, 3)),
}


def layer(name, reset="subtract"):
    """The synapse of a name, and neurons of which about half fire."""
    rng = np.random.default_rng(len(name))
    make, shape, (low, high) = LAYERS[name]
    synapse = make(rng)
    out = synapse.output_shape(shape)
    size = int(np.abs(synapse.weight.astype(int)).sum(axis=tuple(range(1, synapse.weight.ndim))).mean())
    typical = int(max(high, -low) * size * 2.0**synapse.exponent) // 8 + 1
    theta = rng.integers(0, min(typical, 2**17), (3, out[0]))
    nodes = {
        "input": Input(shape, "events", low=low, high=high),
        "synapse": synapse,
        "lif": LIF(out, rng.integers(1, 4097, out), theta, rng.integers(-900, 900, out[:1]), compare=">", reset=reset),
    }
    graph = Graph.chain(nodes, timesteps=3, arithmetic=FORMAT)
    return graph, rng.integers(low, high + 1, (3, 4, *shape)).astype(np.float32)
