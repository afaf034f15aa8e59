"""Samples of nothing but zeros and ones, eight bytes to one, the first in its lowest bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.structures import Bytes
from spikeport.graph import Array
from spikeport.machine import compiled
from spikeport.threads import over_parts

BLOCK = 4096  #: words after which the loop looks whether there was something else
EACH = 0x0101010101010101  #: a one in each byte of a word
GATHER = 0x0102040810204080  #: times this the lowest bits of a word's bytes are its highest byte


def packed(x: Array) -> tuple[Array, int, int] | None:
    """The bits of ``x``, [size / 8] in the order of its memory, and the least and the largest value.

    None for other values than zeros and ones, and for arrays with gaps, of other types than bytes and bool, or of a
    size that eight does not divide.
    """
    if not x.flags.c_contiguous or x.dtype not in (np.uint8, np.bool_) or x.size % 8 or not x.size:
        return None
    words, bits = x.ravel().view(np.uint64), np.empty(x.size // 8, np.uint8)
    kinds = over_parts(lambda begin, end: pack(words, bits, begin, end), bits.size)
    if min(kinds) < 0:
        return None
    return bits, int(not any(kind & 1 for kind in kinds)), int(any(kind & 2 for kind in kinds))


@compiled
def pack(words: Any, bits: Bytes, begin: int, end: int) -> int:
    """-1 where there are other values; else 1 where there are zeros, plus 2 where there are ones."""
    each, gather, top = np.uint64(EACH), np.uint64(GATHER), np.uint64(56)
    anywhere, everywhere = np.uint64(0), each
    for first in range(begin, end, BLOCK):
        for i in range(first, min(first + BLOCK, end)):
            anywhere |= words[i]
            everywhere &= words[i]
            bits[i] = (words[i] * gather) >> top
        if anywhere | each != each:
            return -1
    return int(everywhere != each) + 2 * int(anywhere != 0)
