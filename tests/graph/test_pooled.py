"""A pool behind a convolution is a convolution: two computations of one sum."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.graph import Conv, Pool, Real, meaning
from spikeport.graph.pooled import pooled

SIZES = [
    ({"padding": (1, 1)}, (2, 2), (2, 2)),
    ({"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}, (1, 3), (1, 2)),
    ({"dilation": (3, 1), "groups": 2}, (3, 2), (2, 1)),
]


@pytest.mark.parametrize(("facts", "kernel", "stride"), SIZES)
def test_the_wider_kernel_computes_the_pools_sums(facts, kernel, stride):
    rng = np.random.default_rng(0)
    conv = Conv(rng.integers(-4, 5, (6, 4 // facts.get("groups", 1), 3, 3)).astype(np.float64), **facts)
    pool = Pool("sum", kernel, stride)
    x = rng.integers(0, 3, (1, 2, 4, 13, 12)).astype(np.float64)
    real = Real("float64")
    twice = meaning.apply(pool, meaning.apply(conv, x, real), real)
    np.testing.assert_array_equal(meaning.apply(pooled(conv, pool), x, real), twice)
