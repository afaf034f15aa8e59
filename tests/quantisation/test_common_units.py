"""Whole values of different units meet between layers: they get one unit, and integers add them as they are."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Concat, CubaLIF, Graph, Input, Linear, Readout, Scale, definition
from spikeport.quantisation import quantize
from spikeport.target import Request

F4 = np.float32
T = 5


def lif(kind=LIF, **more):
    return kind((6,), F4(0.5), np.full(T, 0.75, F4), **{name: F4(value) for name, value in more.items()})


def net(joins, factor, weight=0.2, readout=1.0):
    """Spikes of two layers, one times ``factor``, side by side or added up, into a third."""
    rng = np.random.default_rng(2)
    wide = 12 if joins else 6
    nodes = {
        "input": Input((4,)),
        "fc": Linear(rng.normal(size=(6, 4)).astype(F4)),
        "a": lif(),
        "fc2": Linear(rng.normal(size=(6, 6)).astype(F4)),
        "b": lif(),
        "part": Scale(F4(factor)),
        "meet": Concat(operands=("a", "part")) if joins else Scale(F4(1)),
        "fc3": Linear(rng.normal(size=(6, wide)).astype(F4)),
        "c": lif(),
        "out": Readout((6,), np.full(T, readout, F4)),
    }
    chain = [("input", "fc"), ("fc", "a"), ("a", "fc2"), ("fc2", "b"), ("b", "part"), ("part", "meet"), ("a", "meet")]
    return Graph(nodes, (*chain, ("meet", "fc3"), ("fc3", "c"), ("c", "out")), T)


def quantised(graph):
    x = np.random.default_rng(3).integers(0, 256, (40, 4)).astype(F4) / F4(255)
    whole = quantize(graph, x, run=simulate, steps=()).graph
    record, truth = simulate(whole, x, Request(trains=True)), definition.run(whole, x)
    np.testing.assert_array_equal(record.outputs, truth.outputs)
    return whole, record, truth, simulate(graph, x, Request(trains=True))


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize(("factor", "of_a", "of_b"), [(0.5, 2, 1), (-1.5, 2, -3), (0.375, 8, 3)])
def test_units_that_a_power_of_two_divides_become_one(joins, factor, of_a, of_b):
    """a + f b = (k a + n b) u: what meets is whole, and the spikes behind differ where rounded weights say so only."""
    _, record, truth, real = quantised(net(joins, factor))
    a, b = (truth.values[name] for name in "ab")
    met = np.concatenate([of_a * a, of_b * b], -1) if joins else of_a * a + of_b * b
    np.testing.assert_array_equal(truth.values["meet"], met)
    apart = sum(train.apart(record.trains[name]).sum() for name, train in real.trains.items())
    assert apart < 0.03 * 3 * 40 * T * 6


def test_units_without_a_power_of_two_are_refused():
    with pytest.raises(SpikeportError, match="different units") as caught:
        quantised(net(False, 0.3))
    assert caught.value.code == "SP405"


def test_a_readout_that_takes_off_has_a_positive_unit():
    whole, record, _, real = quantised(net(False, 1, readout=-0.5))
    assert whole["out"].unit > 0
    np.testing.assert_allclose(record.outputs * float(whole["out"].unit), real.outputs, atol=0.7)
    assert (record.outputs <= 0).all()


def test_a_bias_before_a_current_that_decays_is_kept():
    """It enters with the sums, at every step: i[t] = i[t-1] / 2 + w x + b."""
    nodes = {"fc": Linear(np.eye(6, 4, dtype=F4), np.full(6, 0.25, F4)), "lif": lif(CubaLIF, current_decay=0.5)}
    _, record, _, real = quantised(Graph.chain({"input": Input((4,)), **nodes}, T))
    assert real.trains["lif"].unpack()[..., 4:].any()  # the bias alone makes the last two fire
    assert real.trains["lif"].apart(record.trains["lif"]).sum() < 0.02 * 40 * T * 6
