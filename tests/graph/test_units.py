"""Nodes in other units: a norm as a gain and a shift, neurons measured in units of something else."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.graph import LIF, Graph, Input, Norm, Real, over_neurons
from spikeport.target import Request

STEPS, SHAPE = 3, (2, 2)


def test_a_norm_is_a_gain_and_a_shift():
    """gamma scale / sqrt(var + eps) = 3 * 4 / sqrt(3 + 1) = 6, and beta - mean gain = 7 - 5 * 6."""
    one = np.ones(1, np.float32)
    norm = Norm(3 * one, 7 * one, 5 * one, 3 * one, eps=1.0, scale=4.0)
    for dtype, computed in ((None, np.float32), (np.float64, np.float64)):
        gain, shift = norm.gain_and_shift(dtype)
        assert (gain[0], shift[0], gain.dtype, shift.dtype) == (6, -23, computed, computed)


def spikes(node, currents):
    graph = Graph.chain({"input": Input(SHAPE, "events"), "lif": node}, timesteps=STEPS, arithmetic=Real("float64"))
    return simulate(graph, currents, Request(trains=True)).trains["lif"].unpack()


@pytest.mark.parametrize("unit", [np.asarray(2.0), np.array([2.0, 0.5]), np.array([[2.0, 0.5], [4.0, 1.0]])])
@pytest.mark.parametrize("axes", [(), (2,), SHAPE])
def test_neurons_measured_in_another_unit_fire_as_before(unit, axes):
    """A power of two moves no bit: currents over the unit reach thresholds over the unit at the same steps."""
    node = LIF(SHAPE, np.float64(0.5), np.full((STEPS, *axes), 1.5), bias=np.array([0.25, -0.25]), reset="subtract")
    currents = np.random.default_rng(3).integers(0, 5, (STEPS, 9, *SHAPE)) / 2
    fired = spikes(node, currents)
    assert 0 < fired.mean() < 1
    assert np.array_equal(spikes(node.measured_in(unit), currents / over_neurons(unit, SHAPE)), fired)
    assert node.measured_in(unit).threshold.shape == (STEPS, *max(axes, unit.shape, key=len))
