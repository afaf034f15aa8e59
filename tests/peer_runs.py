"""Other tools' networks beside the engine: the same frames, a step at a time, and spikes that must be equal."""

from __future__ import annotations

import numpy as np
import torch

f4 = np.float32
T, B = 25, 4


def frames(*shape, seed=0, scale=3.0):
    """Random noise, then silence, then one constant frame: random and structured input."""
    x = np.random.default_rng(seed).normal(size=(T, B, *shape)).astype(f4) * scale
    x[12:16] = 0
    x[16:] = x[16]
    return x


def stepped(call, x):
    """Spikes [T, B, ...] of a stateful module, a frame at a time."""
    with torch.no_grad():
        return np.stack([call(torch.tensor(frame)).numpy() for frame in x])


def handed_on(network):
    """A module that takes its state and gives it back, as one that keeps it."""
    state = None

    def call(frame):
        nonlocal state
        spikes, state = network(frame, state)
        return spikes

    return call


def check(theirs, own):
    assert theirs.mean() > 0.01, "no spikes tell nothing"
    assert theirs.max() == 1
    np.testing.assert_array_equal(own, theirs.astype(bool))
