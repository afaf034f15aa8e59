"""A step of integer neurons, `neuron.loihi` to the bit, on tiles of places and channels.

In 32 bits where they hold all that a step computes (`integers.fits`), else in 64. Lanes beyond the last channel hold
zeros, which never fire; those beyond the last place are not ``alive``, and neither fire nor count.
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
    """trunc(v * decay / 4096), towards zero.

    Of 32 bits by one wide product, in which what is shifted out of a negative one is rounded up first. 64 bits are
    taken apart so that they suffice: with ``|v| = 4096 h + l`` it is ``sign(v) * (h d + (l d >> 12))``.
    """
    if v.dtype == tl.int32:
        return ((v.to(tl.int64) * decay + ((v >> 31) & LEAST_OF_DECAY)) >> DECAY_BITS).to(tl.int32)
    size = tl.where(v < 0, -v, v)
    total = (size >> DECAY_BITS) * decay + (((size & LEAST_OF_DECAY) * decay) >> DECAY_BITS)
    return tl.where(v < 0, -total, total)


@jit
def add_count(counts, kind: tl.constexpr, mask):
    """Add the number of lanes of a mask to a step's count."""
    tl.atomic_add(counts + kind, tl.sum(mask.to(tl.int32)).to(tl.int64), sem="relaxed")


@jit
def add_counts(counts, kind: tl.constexpr, mask, other: tl.constexpr, mask_of_other):
    """Add the numbers of lanes of two masks to a step's counts, by one sum: a tile has fewer than 2**16 lanes."""
    both = tl.sum(mask.to(tl.int32) + (mask_of_other.to(tl.int32) << 16))
    tl.atomic_add(counts + kind, (both & 65535).to(tl.int64), sem="relaxed")
    tl.atomic_add(counts + other, (both >> 16).to(tl.int64), sem="relaxed")


@jit
def charge(
    v,
    current,
    entering,
    decay,
    leak,
    bias,
    top,
    counts,
    alive,
    spare: tl.constexpr,
    cuba: tl.constexpr,
    overflows: tl.constexpr,
    watch: tl.constexpr,
):
    """The membranes before they are cut off, those after, and the current.

    ``leak`` is its decay, where ``cuba`` says there is one. Counted is what may overflow, and with ``watch`` who is
    active.
    """
    arriving = entering
    if spare > 0:
        arriving = (entering << spare) >> spare
    wrapped = alive & (arriving != entering)
    if watch:
        add_count(counts, ACTIVE, alive & ((entering != 0) | (v != 0) | (bias != 0)))
    arriving = arriving << STATE_BITS
    if cuba:
        arriving += shrunk(current, leak)
    if overflows:
        beyond = alive & ((arriving > top + 1) | (arriving <= -top - 1))
        add_counts(counts, BEYOND, beyond, WRAPPED, wrapped)
    exact = shrunk(v, decay) + arriving + bias
    return exact, tl.minimum(tl.maximum(exact, -top), top), arriving


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


@jit
def write(spikes, membranes, onto, summed, there, at, fires, v, live):
    """Of a step, which begins ``there``, the spikes; and what else is asked for: `fire` says what these are."""
    tl.store(spikes + there + at, fires.to(tl.uint8), mask=live)
    if onto is not None:
        tl.store(summed + there + at, fires.to(tl.uint8) + tl.load(onto + there + at, mask=live, other=0), mask=live)
    if membranes is not None:
        tl.store(membranes + there + at, v, mask=live)
