"""Networks for SANA-FE: every kind of edge that a mapping knows."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Pool, Readout

T, B = 4, 3
THRESHOLDS = np.asarray([60, 45, 80, 50])


def lif(*shape, reset="zero", bias=0, decay=2048):
    return LIF(shape, decay=np.int64(decay), threshold=THRESHOLDS, compare=">", reset=reset, bias=np.int64(bias))


def weights(*shape, seed=0):
    """Mantissas, a tenth of them zero."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-20, 45, size=shape) * (rng.random(shape) > 0.1)).astype(np.int8)


def readout(n):
    return Readout((n,), np.ones(T, np.int64))


def dense(seed=0):
    return Graph.chain(
        {
            "input": Input((30,), "events"),
            "a": Linear(weights(40, 30)),
            "one": lif(40, reset="subtract", bias=100),
            "b": Linear(weights(10, 40, seed=1), exponent=1),
            "two": lif(10, decay=1000),
            "c": Linear(weights(3, 10, seed=2)),
            "out": readout(3),
        },
        T,
        arithmetic=Loihi(LOIHI2),
    )


def conv():
    """Several input channels, strides, groups, a pool between layers."""
    return Graph.chain(
        {
            "input": Input((2, 8, 8), "events"),
            "a": Conv(weights(6, 2, 3, 3), padding=(1, 1)),
            "one": lif(6, 8, 8),
            "pool": Pool("sum", (2, 2), (2, 2)),
            "b": Conv(weights(4, 3, 3, 3), padding=(1, 1), stride=(2, 2), groups=2),
            "two": lif(4, 2, 2),
            "flat": Flatten(),
            "c": Linear(weights(3, 16)),
            "out": readout(3),
        },
        T,
        arithmetic=Loihi(LOIHI2),
    )


def residual():
    """Spikes of two layers add up at one convolution, and two convolutions enter one layer."""
    nodes = {
        "input": Input((2, 6, 6), "events"),
        "a": Conv(weights(4, 2, 3, 3), padding=(1, 1)),
        "one": lif(4, 6, 6),
        "b": Conv(weights(4, 4, 3, 3, seed=1), padding=(1, 1)),
        "two": lif(4, 6, 6),
        "c": Conv(weights(5, 4, 3, 3, seed=2), stride=(2, 2)),
        "short": Conv(weights(5, 4, 1, 1), stride=(3, 3)),
        "three": lif(5, 2, 2),
        "flat": Flatten(),
        "d": Linear(weights(3, 20)),
        "out": readout(3),
    }
    edges = [
        ("input", "a"),
        ("a", "one"),
        ("one", "b"),
        ("b", "two"),
        ("two", "c"),
        ("one", "c"),
        ("c", "three"),
        ("two", "short"),
        ("short", "three"),
        ("three", "flat"),
        ("flat", "d"),
        ("d", "out"),
    ]
    return Graph(nodes, tuple(edges), T, arithmetic=Loihi(LOIHI2))


def identities():
    """Spikes enter a layer beside its convolution, through no synapse, as they are and through a pool."""
    nodes = {
        "input": Input((3, 6, 6), "events"),
        "a": Conv(weights(3, 3, 3, 3), padding=(1, 1)),
        "one": lif(3, 6, 6),
        "b": Conv(weights(3, 3, 3, 3, seed=1), padding=(1, 1)),
        "two": lif(3, 6, 6),
        "pool": Pool("sum", (2, 2), (1, 1)),
        "c": Conv(weights(3, 3, 2, 2, seed=2)),
        "three": lif(3, 5, 5),
        "flat": Flatten(),
        "d": Linear(weights(4, 75)),
        "out": readout(4),
    }
    edges = [
        ("input", "a"),
        ("a", "one"),
        ("one", "b"),
        ("b", "two"),
        ("one", "two"),
        ("two", "c"),
        ("c", "three"),
        ("two", "pool"),
        ("pool", "three"),
        ("three", "flat"),
        ("flat", "d"),
        ("d", "out"),
    ]
    return Graph(nodes, tuple(edges), T, arithmetic=Loihi(LOIHI2))


def merged():
    """Pools behind the sum of two convolutions, the second behind the first; synapses that two layers hold."""
    nodes = {
        "input": Input((2, 9, 9), "events"),
        "a": Conv(weights(4, 2, 3, 3), padding=(1, 1)),
        "b": Conv(weights(4, 1, 1, 1, seed=1), groups=2),
        "pool": Pool("sum", (2, 2), (2, 2)),
        "one": lif(4, 4, 4),
        "again": Pool("sum", (3, 2), (1, 2)),
        "two": lif(4, 2, 2),
        "flat": Flatten(),
        "c": Linear(weights(3, 16)),
        "late": Flatten(),
        "d": Linear(weights(3, 64, seed=2)),
        "out": readout(3),
    }
    edges = [("input", "a"), ("input", "b"), ("a", "pool"), ("b", "pool"), ("pool", "one"), ("pool", "again")]
    edges += [
        ("again", "two"),
        ("two", "flat"),
        ("flat", "c"),
        ("c", "out"),
        ("one", "late"),
        ("late", "d"),
        ("d", "out"),
    ]
    return Graph(nodes, tuple(edges), T, arithmetic=Loihi(LOIHI2))
