"""Which tile a kernel takes: those that suit a layer are tried once a card and shape.

Triton keeps the choice on disk, where `TRITON_CACHE_DIR` says; it tells capabilities apart, `bucket` also cards of one.
A layer too small to be worth a trial takes the first that suits. In Triton's interpreter nothing is tried: one small
tile serves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

import torch
import triton
from triton import Config, autotune

from spikeport.engine.cuda.gemm import DIRECT, TAPS

Tile = tuple[int, int, int, int, int]

#: rows, columns and depth of a tile, warps, stages. Measured best on an H200: the first and the second for layers of
#: 128 channels and more, the third for 1 x 1 kernels; the others are for small layers and for cards with less memory.
TILES = (
    (128, 128, 64, 8, 3),
    (128, 128, 128, 8, 3),
    (128, 64, 128, 4, 4),
    (64, 128, 64, 4, 4),
    (64, 64, 64, 4, 3),
    (128, 128, 32, 8, 3),
    (128, 64, 32, 4, 3),
    (64, 32, 32, 4, 2),
    (32, 16, 32, 2, 2),
)
TRIED = 4  #: tiles of a layer
PROCESSORS = 128  #: where there is no card to ask: about as many as a data centre's has
WORTH = 1 << 28  #: products of a step from which a trial pays: some 0.3 microseconds of a card's int8
HELD = 32 * 160  #: registers that the threads of a warp may hold for what `suited` counts
SHARED = 96 << 10  #: bytes of factors that a block may hold at most: every card from 8.0 on has these
INTERPRETED = (64, 32, 32, 1, 1)
KEY = ("bucket", "way", "form", "digits", "steady", "wide", "each", "overflows", "watch")


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on the CPU."""
    return bool(triton.knobs.runtime.interpret)


class Card(NamedTuple):
    """What the choice of tiles asks of a card."""

    number: int  #: of its name, 36 bits
    processors: int
    shared: int  #: bytes that a block may hold


@cache
def card_of(device: torch.device) -> Card:
    """Asked once."""
    if device.type != "cuda":
        return Card(0, PROCESSORS, SHARED)
    facts = torch.cuda.get_device_properties(device)
    name = f"{facts.name}, {facts.multi_processor_count} processors"
    number = int.from_bytes(sha256(name.encode()).digest()[:8]) >> 28
    return Card(
        number, facts.multi_processor_count, min(SHARED, getattr(facts, "shared_memory_per_block_optin", SHARED))
    )


def bucket(device: torch.device, size: int, outputs: int, depth: int) -> int:
    """A number that is the same for layers of about the same size on cards of one kind. It takes 64 bits, always."""
    sizes = sum(max(value - 1, 0).bit_length() << 8 * i for i, value in enumerate((size, outputs, depth)))
    return 1 << 61 | card_of(device).number << 24 | sizes


def suited(
    tiles: Sequence[Tile], card: Card, size: int, outputs: int, depth: int, words: int, width: int
) -> Sequence[Tile]:
    """Of ``tiles``, largest first, those that fit ``size`` places, ``outputs`` channels of a group, and the card.

    ``words`` of 32 bits are held for each place and channel: its sum, membrane and current, and parameters of its own
    where it has them; ``depth`` are products of a sum, or of one tap, of factors of ``width`` bytes. Tiles of which
    there would be fewer than a card has processors come last; a small layer is left one.
    """
    fitting = [
        tile
        for tile in tiles
        if tile[0] <= max(64, _power(size))
        and tile[1] <= max(16, _power(outputs))
        and tile[2] <= max(32, _power(depth))
        and tile[0] * tile[1] * words <= tile[3] * HELD
        and tile[4] * tile[2] * (tile[0] + tile[1]) * width <= card.shared
    ] or tiles[-1:]
    few = [tile for tile in fitting if -(-size // tile[0]) * -(-outputs // tile[1]) < card.processors]
    ordered = [*(tile for tile in fitting if tile not in few), *reversed(few)]
    return ordered[: TRIED if size * outputs * depth >= WORTH else 1]


def _power(value: int) -> int:
    """The power of two from ``value`` on."""
    return 1 << max(value - 1, 0).bit_length()


def _suited(configs: list[Config], _: Any, **given: Any) -> list[Config]:
    """`suited` as the autotuner asks it."""
    channels, way, cuba = given["channels"], given["way"], given.get("leak") is not None
    tiles = {_numbers(config): config for config in configs}
    outputs = channels.outputs if way == DIRECT.value else channels.group_outputs
    depth = channels.group * (1 if way == TAPS.value else given["taps"])
    words = 1 + (1 + given.get("wide", False)) * (1 + cuba) + 4 * given.get("each", False)  # three, and their places
    card, width = card_of(given["weight"].device), given["weight"].itemsize
    return [tiles[tile] for tile in suited(tuple(tiles), card, given["size"], outputs, depth, words, width)]


def _numbers(config: Config) -> Tile:
    """A tile as it stands in `TILES`."""
    rows, columns, depth = config.kwargs.values()
    return rows, columns, depth, config.num_warps, config.num_stages


def _timed(call: Callable[[], Any], quantiles: Sequence[float]) -> Any:
    """Milliseconds of a kernel, over fewer runs than Triton's own trial: tiles differ by more."""
    return triton.testing.do_bench(call, warmup=5, rep=20, quantiles=quantiles)


def tuned(*names: str) -> Callable[[Any], Any]:
    """A kernel that is launched with the best tile, whose numbers it takes by these names."""

    def wrap(kernel: Any) -> Any:
        tiles = (INTERPRETED,) if interpreted() else TILES
        trial = {"prune_configs_by": {"early_config_prune": _suited}, "do_bench": _timed, "cache_results": True}
        configs = [Config(dict(zip(names, tile[:3], strict=True)), tile[3], tile[4]) for tile in tiles]
        known = set(kernel.arg_names)
        key = [name for name in KEY if name in known]
        cleared = ["counts"] if "counts" in known else None
        return autotune(configs, key=key, reset_to_zero=cleared, **trial)(kernel)

    return wrap
