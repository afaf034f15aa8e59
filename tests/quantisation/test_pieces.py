"""Pieces of the quantisation by themselves: the patches that neurons see, the steps of data, a budget just kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantize_examples import filtered, vectors
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Conv, Linear
from spikeport.quantisation import mixed_bits, quantize
from spikeport.quantisation.inputs import exact_unit
from spikeport.quantisation.integers import threshold_mantissas
from spikeport.quantisation.layers import Layer, Term, Value, message_findings
from spikeport.quantisation.mantissa import mantissa_for
from spikeport.quantisation.post_training import _badness
from spikeport.quantisation.ranges import _rounding
from spikeport.quantisation.rounding import patches


def test_patches_of_a_convolution_are_what_its_windows_cover():
    """Every value of the input is another one, so a patch says where it was cut out."""
    x = np.arange(1, 2 * 3 * 4 * 7 * 6 + 1, dtype=np.float32).reshape(2, 3, 4, 7, 6)
    node = Conv(np.zeros((2, 2, 3, 2), np.float32), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
    padded = np.pad(x.reshape(-1, 4, 7, 6), [(0, 0), (0, 0), (1, 1), (0, 0)])
    windows = {
        padded[sample, :, i : i + 3, j : j + 3 : 2].tobytes()
        for sample in range(6)
        for i in range(0, 7, 2)
        for j in range(4)
    }
    drawn = {
        patch.reshape(4, 3, 2).tobytes() for patch in patches(node, x.reshape(6, 4, 7, 6), np.random.default_rng(0))
    }
    assert drawn == windows  # thousands are drawn, all 96 come up


def test_a_threshold_is_the_nearest_mantissa_of_the_first_that_fires():
    """u >= 33 is u > 32, half of a mantissa, which goes to the even one; u >= 34 is u > 33. Strictly: 33 is 33 / 64."""
    for compare, theta, mantissa in ((">=", 33, 0), (">=", 34, 1), (">=", 97, 2), (">", 33, 1), (">", 32, 0)):
        node = LIF((1,), np.float32(0.5), np.full(1, theta, np.float32), compare=compare)
        assert threshold_mantissas(node, np.ones(()), coarse=False).ravel().tolist() == [mantissa]
    for compare, theta, mantissa in ((">=", 128, 1), (">=", 129, 2), (">", 128, 2), (">", 127, 1)):
        node = LIF((1,), np.float32(1), np.full(1, theta, np.float32), compare=compare)
        assert threshold_mantissas(node, np.ones(()), coarse=True).ravel().tolist() == [mantissa]


@pytest.mark.parametrize(
    ("value", "step", "away"), [(1.3, 0.5, 0.2), (-1.3, 0.5, -0.2), (7.0, 2.0, 1.0), (0.2, 4.0, -0.2)]
)
def test_what_rounding_moves_a_value_by(value, step, away):
    assert _rounding(np.asarray(value), np.asarray(step)) == pytest.approx(away)


@pytest.mark.parametrize(("most", "unit", "said"), [(3, 1, False), (4, 1, True), (5, 1, True), (4, 0.5, False)])
def test_a_sum_larger_than_a_message_is_said(most, unit, said):
    """Two bits hold 3. Values that are no whole numbers of messages (averages) are another matter."""
    layer = Layer("lif", ("lif",), (Term("fc", Value(unit, 0, most), 1),), channels=False)
    findings = message_findings((layer,), replace(LOIHI2, message_bits=2))
    assert [each.code for each in findings] == ["SP426"] * said


def test_a_step_is_judged_by_spikes_and_by_outputs():
    """Each twice as far away makes it twice as bad."""
    bad = _badness({"output_error": 0.2, "spike_mismatch": 0.1})
    assert bad == pytest.approx(0.02, rel=1e-6)
    assert _badness({"output_error": 0.1, "spike_mismatch": 0.1}) == pytest.approx(bad / 2, rel=1e-6)
    assert _badness({"output_error": 0.2, "spike_mismatch": 0.05}) == pytest.approx(bad / 2, rel=1e-6)


def test_patches_of_a_dense_layer_are_its_inputs():
    x = np.arange(10 * 3, dtype=np.float32).reshape(10, 3)
    drawn = patches(Linear(np.zeros((2, 3), np.float32)), x, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, x.reshape(10, 1, 3))


@pytest.mark.parametrize("unit", [0.1, 1 / 3, 1 / 255])
def test_a_step_that_no_two_values_are_apart_is_found(unit):
    """2 and 5 are whole multiples of 1, their differences from each other and from zero are 2 and 3."""
    assert exact_unit(np.asarray([2, 5]) * unit, 0, 255) == pytest.approx(unit, rel=1e-12)


def test_a_budget_that_is_just_kept_is_kept():
    """Every graph is as accurate as the real network: a drop of 0 allows the fewest bits of the path."""
    quantised = quantize(filtered(), vectors(8), run=simulate, steps=[])
    trade_off = mixed_bits(quantised, accuracy=lambda graph: 0.5, real_accuracy=0.5, max_drop=0)
    assert trade_off.chosen.weight_bits == min(point.weight_bits for point in trade_off.curve)
    assert trade_off.chosen.mean_bits < 2


def test_as_many_values_as_the_format_has_still_enter_as_they_are():
    """All 256 values of a byte, and one more, for which there is no place."""
    assert exact_unit(np.arange(256.0), 0, 255) == 1
    assert exact_unit(np.arange(257.0), 0, 255) is None


@pytest.mark.parametrize(
    ("weight", "sign"), [([0, 1], "excitatory"), ([-1, 0], "inhibitory"), ([-2, 1], "mixed"), ([-0.5, 0.25], "mixed")]
)
def test_the_sign_of_weights_is_that_of_all_of_them(weight, sign):
    assert mantissa_for(np.asarray([weight]), 8, "auto", "fc").sign == sign
