"""The semantics, from the equations at the nodes by hand; `tests/conformance` holds every target to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Delay, Input, Loihi, Readout, Real, meaning

INTEGERS = Loihi(LOIHI2)


def neuron(kind=LIF, threshold=(100,), **facts):
    whole = {"decay": np.int64(2048), "bias": np.int64(0), "compare": ">"} | facts
    return kind(shape=(1,), threshold=np.asarray(threshold), **whole)


def test_the_state_of_24_bits_is_symmetric():
    assert LOIHI2.state_top == 8_388_607
    assert replace(LOIHI2, state_bits=16).state_top == 32_767


@pytest.mark.parametrize(("v", "expected"), [(3.0, 1.0), (-3.0, -1.0), (1.0, 0.0), (-1.0, 0.0)])
def test_a_membrane_decays_towards_zero(v, expected):
    """3 * 2048 / 4096 = 1.5, truncated: a floor would make -2 of -1.5."""
    u, _, _ = INTEGERS.charge(neuron(), np.array([[v]]), np.zeros((1, 1)), np.zeros((1, 1)))
    assert u == expected


def test_a_membrane_stops_at_the_end_of_its_format():
    narrow = Loihi(replace(LOIHI2, state_bits=16))
    for x, end in ((600.0, 32_767), (-600.0, -32_767)):  # 600 << 6 = 38,400
        u, _, _ = narrow.charge(neuron(), np.zeros((1, 1)), np.zeros((1, 1)), np.array([[x]]))
        assert u == end


def test_a_whole_neuron_fires_above_its_threshold_and_not_at_it():
    node = neuron(threshold=(2, 3))
    u = np.array([[128.0]])  # 2 << 6
    assert not INTEGERS.fires(node, u, 0)
    assert INTEGERS.fires(node, u + 1, 0)
    assert not INTEGERS.fires(node, u + 1, 1)


def test_a_real_neuron_at_its_threshold_fires():
    node = LIF((1,), np.float64(0.5), np.array([2.0]))
    assert Real("float64").fires(node, np.array([[2.0]]), 0)


@pytest.mark.parametrize(("reset", "left"), [("zero", 0.0), ("subtract", 72.0), ("value", 9.0), ("none", 200.0)])
def test_what_a_spike_leaves(reset, left):
    node = neuron(threshold=(2,), reset=reset, reset_value=np.int64(9))
    fired, rest = np.array([[True]]), np.array([[False]])
    assert INTEGERS.after(node, np.array([[200.0]]), fired, 0) == left
    assert INTEGERS.after(node, np.array([[200.0]]), rest, 0) == 200.0


def test_a_current_decays_by_itself():
    node = neuron(CubaLIF, current_decay=np.int64(1024))
    u, current, _ = INTEGERS.charge(node, np.array([[10.0]]), np.array([[-7.0]]), np.array([[1.0]]))
    assert current == -1 + 64  # trunc(-7 / 4) + (1 << 6)
    assert u == 5 + 63


def test_an_exponent_rounds_towards_minus_infinity():
    node = Conv(np.array([[[[1]]], [[[-1]]]]), exponent=-1)
    y = INTEGERS.synapse(node, np.full((1, 1, 1, 1, 1), 3.0))
    assert y.ravel().tolist() == [1.0, -2.0]


def test_a_delay_is_zero_before_its_first_step():
    y = meaning.delayed(Delay((1,), 2), np.arange(1.0, 5.0).reshape(4, 1, 1), 4)
    assert y.ravel().tolist() == [0.0, 0.0, 1.0, 2.0]


def test_a_readout_weighs_the_steps():
    node = Readout((1,), np.array([1, 3]), np.int64(5))
    assert INTEGERS.read_out(node, np.array([[[2.0]], [[4.0]]])) == (128 + 5) + 3 * (256 + 5)


def test_samples_enter_in_units_with_ties_to_even():
    node = Input((3,), unit=np.float64(0.5))
    assert INTEGERS.entering(node, np.array([[0.25, 0.75, 1.0]])).ravel().tolist() == [0.0, 2.0, 2.0]
