"""A step of integer neurons, `neuron.loihi` to the bit, on tiles of places and channels.

In 32 bits where they hold all that a step computes (`integers.fits`), else in 64. ``trunc(v * d / 4096)`` is taken
apart so that its own width suffices: with ``|v| = 4096 h + l`` it is ``sign(v) * (h d + (l d >> 12))``.
"""

from __future__ import annotations

import triton.language as tl
from triton import jit

DECAY_BITS, STATE_BITS = tl.constexpr(12), tl.constexpr(6)  #: of `graph.DECAY_ONE` and `graph.STATE_SHIFT`
LEAST_OF_DECAY = tl.constexpr((1 << 12) - 1)
FIRED, SATURATED, BEYOND, ACTIVE, WRAPPED = (tl.constexpr(kind) for kind in range(5))  #: columns of the counts
KINDS = tl.constexpr(5)
ZERO, SUBTRACT, VALUE, STAY = (tl.constexpr(kind) for kind in range(4))  #: resets


@jit
def shrunk(v, decay):
    """trunc(v * decay / 4096), towards zero."""
    size = tl.where(v < 0, -v, v)
    total = (size >> DECAY_BITS) * decay + (((size & LEAST_OF_DECAY) * decay) >> DECAY_BITS)
    return tl.where(v < 0, -total, total)


@jit
def add_count(counts, kind: tl.constexpr, mask):
    """Add the number of lanes of a mask to a step's count."""
    tl.atomic_add(counts + kind, tl.sum(mask.to(tl.int32)).to(tl.int64))


@jit
def charge(v, current, entering, decay, leak, bias, spare, top, counts, live, cuba: tl.constexpr, watch: tl.constexpr):
    """The membranes before the comparison, and the current; ``leak`` is its decay, where ``cuba`` says there is one."""
    arriving = (entering << spare) >> spare
    if watch:
        add_count(counts, WRAPPED, live & (arriving != entering))
        add_count(counts, ACTIVE, live & ((entering != 0) | (v != 0) | (bias != 0)))
    arriving = arriving << STATE_BITS
    if cuba:
        arriving += shrunk(current, leak)
    if watch:
        add_count(counts, BEYOND, live & ((arriving > top + 1) | (arriving <= -top - 1)))
    exact = shrunk(v, decay) + arriving + bias
    u = tl.minimum(tl.maximum(exact, -top), top)
    add_count(counts, SATURATED, live & (u != exact))
    return u, arriving


@jit
def after(u, fires, theta, value, reset: tl.constexpr):
    """The membranes after the reset of those that fired; ``value`` is the one of reset "value"."""
    v = u
    if reset == ZERO:
        v = tl.where(fires, 0, u)
    elif reset == SUBTRACT:
        v = tl.where(fires, u - theta, u)
    elif reset == VALUE:
        v = tl.where(fires, value, u)
    return v
