"""One frame through a node without state: the sums that its equation names, term by term."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import (
    LOIHI2,
    Conv,
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
    meaning,
)
from spikeport.graph.bounds import Range

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6, 7))


def apply(node, x):
    """One step of one sample."""
    return meaning.apply(node, x[None, None], Real("float64"))[0, 0]


def test_a_norm_divides_by_the_spread_and_adds_beta():
    gamma, beta, mean, var = RNG.uniform(0.5, 2, (4, 4))
    channels = zip(X, gamma * 1.5, beta, mean, var, strict=True)
    expected = [(x - m) / np.sqrt(v + 1e-3) * g + b for x, g, b, m, v in channels]
    np.testing.assert_allclose(apply(Norm(gamma, beta, mean, var, 1e-3, 1.5), X), expected, rtol=1e-12)


def test_a_scale_multiplies_each_channel():
    factor = RNG.uniform(0.5, 2, 4)
    np.testing.assert_array_equal(apply(Scale(factor), X), [x * f for x, f in zip(X, factor, strict=True)])


def test_a_linear_node_weighs_its_inputs_and_a_flatten_lays_them_in_a_row():
    weight = RNG.normal(size=(3, 168)).astype(np.float32)
    flat = apply(Flatten(), X)
    assert [flat[channel * 42 + row * 7 + column] for channel, row, column in np.ndindex(X.shape)] == list(X.ravel())
    expected = [sum(float(w) * x for w, x in zip(row, flat, strict=True)) for row in weight]
    np.testing.assert_allclose(apply(Linear(weight), flat), expected, rtol=1e-9)


def at(channel, *place):
    """A value of the frame, zero outside."""
    inside = all(0 <= p < n for p, n in zip(place, X.shape[1:], strict=True))
    return float(X[(channel, *place)]) if inside else 0.0


@pytest.mark.parametrize("kind", ["sum", "average"])
def test_a_pool_adds_its_windows(kind):
    node = Pool(kind, (3, 2), (2, 1), (1, 0))
    expected = np.zeros(node.output_shape(X.shape))
    for c, i, j in np.ndindex(expected.shape):
        expected[c, i, j] = sum(at(c, 2 * i - 1 + a, j + b) for a in range(3) for b in range(2))
    np.testing.assert_allclose(apply(node, X), expected / (6 if kind == "average" else 1), rtol=1e-12, atol=1e-12)


def test_a_convolution_weighs_its_windows_group_by_group():
    weight = RNG.normal(size=(6, 2, 2, 3))
    node = Conv(weight, stride=(1, 2), padding=(0, 1), dilation=(2, 1), groups=2)
    expected = np.zeros(node.output_shape(X.shape))
    for o, i, j in np.ndindex(expected.shape):
        for c, a, b in np.ndindex(2, 2, 3):
            expected[o, i, j] += weight[o, c, a, b] * at(o // 3 * 2 + c, i + 2 * a, 2 * j - 1 + b)
    np.testing.assert_allclose(apply(node, X), expected, rtol=1e-9, atol=1e-9)


LAST = [0, 0, 0, 3]
ALMOST = [0.25, 0.25, 0.25, 0.26]


@pytest.mark.parametrize(
    ("weight", "follows"),
    [
        ([0.25] * 4, True),
        (LAST, True),
        (ALMOST, False),
        ([0, 1, 0, 1], False),
        ([0, -1, 0, 1], False),
        ([0] * 4, False),
        ([1], False),
    ],
)
def test_a_readout_of_the_mean_or_the_last_step_follows_the_number_of_steps(weight, follows):
    assert Readout((2,), np.asarray(weight, np.float32)).follows_length == follows
    assert not Readout((2,), np.asarray(weight, np.float32).astype(np.int64)).follows_length


def test_a_mean_over_more_steps_is_a_mean_and_a_last_step_the_last():
    mean, last = (Readout((2,), np.asarray(weight, np.float32)) for weight in ([0.25] * 4, LAST))
    assert mean.for_length(8).tolist() == [0.125] * 8
    assert last.for_length(3).tolist() == [0, 0, 3]
    assert last.for_length(3).dtype == np.float32


@pytest.mark.parametrize("bias", [None, [0.25, -0.5]])
def test_a_synapse_reaches_from_its_negative_weights_to_its_positive_ones(bias):
    """0.5 and 1.5 of inputs up to 2: 4; -0.75 and -0.25 of them: -2. Zero is in it, as at a border."""
    weight = np.asarray([[0.5, 1.5], [-0.75, -0.25]], np.float32)
    node = Linear(weight, None if bias is None else np.asarray(bias, np.float32))
    before, after = Real("float32").reach(node, Range(0, 2))
    assert (before.low, before.high) == (-2, 4)
    assert (after.low, after.high) == ((-2, 4) if bias is None else (-2.5, 4.25))
    only = Real("float32").reach(Linear(weight[:1]), Range(0, 2))[0]
    assert (only.low, only.high) == (0, 4)


def test_a_readouts_bias_is_a_word_of_32_bits():
    def graph(bias):
        nodes = {"in": Input((1,), low=0, high=1), "out": Readout((1,), np.ones(1, np.int64), np.asarray(bias))}
        return Graph.chain(nodes, 1, arithmetic=Loihi(LOIHI2))

    for bias in (-(2**31), 2**31 - 1):
        assert graph(bias)["out"].bias == bias
    for bias in (-(2**31) - 1, 2**31):
        with pytest.raises(SpikeportError, match="bias"):
            graph(bias)
