"""Small networks, by hand, whose files `write_0_1` writes; they need the code of 0.1, and no test imports them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spikeport.graph import (
    LIF,
    LOIHI2,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Norm,
    Pool,
    Readout,
    Real,
    Scale,
)

DOUBLE = Real("float64")


def recurrent():
    """Frames of events; a current-based layer that feeds back through a delay, and a reset to a value; three steps."""
    rng = np.random.default_rng(1)
    nodes = {
        "input": Input((6,), "events"),
        "fc": Linear(rng.normal(0, 0.7, (5, 6)), rng.normal(0, 0.1, 5)),
        "cuba": CubaLIF((5,), rng.uniform(0.3, 0.9, 5), rng.uniform(0.4, 1.2, (3, 5)), current_decay=np.asarray(0.5)),
        "later": Delay((5,), 2),
        "back": Linear(rng.normal(0, 0.5, (5, 5))),
        "norm": Norm(*rng.uniform(0.5, 1.5, (4, 5)), eps=1e-4, scale=0.5),
        "times": Scale(np.asarray(1.5)),
        "lif": LIF(
            (5,),
            np.asarray(0.75),
            rng.uniform(0.3, 0.9, 3),
            gain=np.asarray(0.8),
            reset="value",
            reset_value=np.asarray(-0.25),
            compare=">",
        ),
        "head": Linear(rng.normal(size=(4, 5))),
        "out": Readout((4,), np.asarray([0.2, 0.3, 0.5]), rng.normal(size=4)),
    }
    edges = [("input", "fc"), ("fc", "cuba"), ("cuba", "later"), ("later", "back"), ("back", "cuba"), ("cuba", "norm")]
    edges += pairwise(["norm", "times", "lif", "head", "out"])
    return Graph(nodes, tuple(edges), 3, DOUBLE, "hold"), rng.integers(0, 5, (3, 8, 6)) / 4


def image():
    """Images; grouped and dilated convolutions, a residual, thresholds a channel and step; it ends in its spikes."""
    rng = np.random.default_rng(2)
    nodes = {
        "in/put": Input((2, 6, 6)),
        "c.1": Conv(rng.normal(0, 0.4, (4, 2, 3, 3)), rng.normal(0, 0.2, 4), padding=(1, 1)),
        "lif ä": LIF((4, 6, 6), np.asarray(0.5), rng.uniform(0.5, 1.5, (2, 4)), reset="subtract"),
        "c.2": Conv(rng.normal(0, 0.5, (4, 1, 2, 2)), padding=(1, 1), dilation=(2, 2), groups=4),
        "lif2": LIF((4, 6, 6), rng.uniform(0.2, 0.8, 4), np.full(2, 0.75)),
        "pool": Pool("average", (2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(rng.normal(0, 0.5, (7, 36))),
        "last": LIF((7,), np.asarray(1.0), np.asarray([0.9, 0.6]), reset="none"),
    }
    edges = (*pairwise(nodes), ("lif ä", "lif2"))
    return Graph(nodes, edges, 2, DOUBLE, "cycle"), rng.integers(0, 9, (8, 2, 6, 6)) / 8


def constant():
    """What NIR can say in its own words: one threshold, reset to zero, no feedback."""
    rng = np.random.default_rng(3)
    nodes = {
        "input": Input((6,)),
        "fc": Linear(rng.normal(0, 0.7, (8, 6))),
        "lif": LIF((8,), np.asarray(0.5), np.full(4, 0.75)),
        "head": Linear(rng.normal(size=(3, 8))),
        "out": Readout((3,), np.full(4, 0.25)),
    }
    return Graph.chain(nodes, timesteps=4, arithmetic=DOUBLE), rng.integers(0, 9, (8, 6)) / 8


def whole():
    """Loihi's integers, recurrent and current-based, biases and thresholds a neuron and step."""
    rng = np.random.default_rng(4)
    nodes = {
        "input": Input((6,), unit=np.float64(0.25), low=0.0, high=8.0),
        "fc": Linear(rng.integers(-100, 100, (5, 6)).astype(np.int8), exponent=1),
        "cuba": CubaLIF(
            (5,),
            rng.integers(1000, 4096, 5),
            rng.integers(300, 2500, (3, 5)),
            rng.integers(-90, 90, 5),
            np.asarray(1),
            reset_value=np.asarray(0),
            compare=">",
            unit=np.float64(0.01),
            current_decay=np.asarray(2048),
        ),
        "later": Delay((5,), 1),
        "back": Linear(rng.integers(-60, 60, (5, 5)).astype(np.int8), exponent=-1),
        "head": Linear(rng.integers(-127, 127, (4, 5)).astype(np.int8)),
        "out": Readout((4,), np.asarray([1, 2, 1]), np.asarray(0), np.float64(0.001)),
    }
    edges = [("input", "fc"), ("fc", "cuba"), ("cuba", "later"), ("later", "back"), ("back", "cuba"), ("cuba", "head")]
    return Graph(nodes, (*edges, ("head", "out")), 3, Loihi(LOIHI2)), rng.integers(0, 9, (8, 6)) / 4


GRAPHS = {"recurrent": recurrent, "image": image, "constant": constant, "whole": whole}
