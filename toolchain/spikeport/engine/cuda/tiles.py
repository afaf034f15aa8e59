"""Which tile a kernel takes: tried once a card and shape, the choice kept on disk by Triton (`TRITON_CACHE_DIR`).

In Triton's interpreter nothing is tried: one small tile serves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import triton
from triton import Config, autotune

#: rows, columns and depth of a tile, warps, stages. Measured best on an H200: the first and the second for layers of
#: 128 channels and more, the third for 1 x 1 kernels; the others are for small layers and for cards with less memory.
TILES = (
    (128, 128, 64, 8, 3),
    (128, 128, 128, 8, 3),
    (128, 64, 128, 4, 4),
    (64, 128, 64, 4, 4),
    (64, 64, 64, 4, 3),
    (64, 32, 32, 4, 2),
    (32, 16, 32, 2, 2),
)
INTERPRETED = (64, 32, 32, 1, 1)
KEY = ("bucket", "way", "form", "digits", "steady", "wide", "each", "watch")


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on the CPU."""
    return bool(triton.knobs.runtime.interpret)


def bucket(size: int, outputs: int, depth: int) -> int:
    """A number that is the same for layers of about the same size."""
    return sum(max(value - 1, 0).bit_length() << 8 * i for i, value in enumerate((size, outputs, depth)))


def tuned(*names: str) -> Callable[[Any], Any]:
    """A kernel that is launched with the best tile, whose numbers it takes by these names."""

    def wrap(kernel: Any) -> Any:
        tiles = (INTERPRETED,) if interpreted() else TILES
        configs = [Config(dict(zip(names, tile[:3], strict=True)), tile[3], tile[4]) for tile in tiles]
        known = set(kernel.arg_names)
        key = [name for name in KEY if name in known]
        cleared = ["counts"] if "counts" in known else None
        return autotune(configs, key=key, reset_to_zero=cleared, cache_results=True)(kernel)

    return wrap
