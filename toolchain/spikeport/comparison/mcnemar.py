"""Whether two accuracies on the same samples differ by more than chance."""

from __future__ import annotations

import math

import numpy as np

from spikeport.graph import Array


def mcnemar(a_right: Array, b_right: Array) -> float:
    """Exact two-sided p-value that A and B are equally often right on the same samples, between 0 and 1.

    McNemar, Psychometrika 12 (1947) 153, in its exact binomial form: of the samples that only one of them gets right,
    each is A's or B's with probability 1/2. 1 where they part on no sample.
    """
    only_a = int(np.count_nonzero(a_right & ~b_right))
    only_b = int(np.count_nonzero(b_right & ~a_right))
    parted = only_a + only_b
    tail: int = sum(math.comb(parted, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, float(2 * tail / 2**parted))
