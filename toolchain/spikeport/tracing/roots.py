"""The membrane behind a tensor that is a multiple of one and a constant."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Array
from spikeport.tracing.symbols import Symbol, plus, times


def rooted(x: Symbol, threshold: Array) -> tuple[Symbol, Array, bool, int]:
    """The membrane behind ``x``, the threshold in its unit, whether the comparison turns round, and the hops to it.

    x = a * u + b > t is u > (t - b) / a for a > 0, and not u >= (t - b) / a for a < 0.
    """
    turned, hops = False, 0
    while x.before is not None:
        root, slope, offset = x.before
        if not ((slope > 0).all() or (slope < 0).all()):
            break
        threshold = times(plus(threshold, -offset, x.shape), 1 / slope, x.shape)
        turned ^= bool((slope < 0).all())
        x, hops = root, hops + 1
    return x, threshold, turned, hops


def share_of(x: Symbol, root: Symbol) -> Array:
    """How much of ``root`` a tensor behind it is: less than all of it is a membrane a step later, into which nothing
    came."""
    slope = np.ones(())
    while x is not root and x.before is not None:
        x, factor, _ = x.before
        slope = times(slope, factor, x.shape)
    return slope
