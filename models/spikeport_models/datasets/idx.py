"""IDX files, as MNIST and Fashion-MNIST come: a magic number, the sizes, then bytes; usually gzipped.

Format: http://yann.lecun.com/exdb/mnist/ (two zero bytes, type 0x08 = unsigned byte, number of axes, big-endian sizes).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikeport.datasets import Arrays, Source, Split
from spikeport.findings import fail, require
from spikeport_models.datasets.parts import indices_of
from spikeport_models.datasets.places import Place

FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}

PLACE = Place(
    "fashion-mnist",
    inside=("fashion-mnist", "FashionMNIST/raw"),
    needs=(*FILES["train"], *FILES["test"]),
    fixed=("/usr/share/datasets/fashion-mnist",),
    get="Debian and Ubuntu: apt install dataset-fashion-mnist; elsewhere get the four .gz files from "
    "github.com/zalandoresearch/fashion-mnist (data/fashion)",
)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of one file. Raises SP362 where it is cut short or no IDX file."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, axes = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{axes}I", raw[4 : 4 + 4 * axes])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        fail("SP362", f"is no whole IDX file ({error})", where=str(path), mend="get the file again")
    body = raw[4 + 4 * axes :]
    size = int(np.prod(shape, dtype=np.int64))
    require(
        zero == 0 and kind == 8 and len(body) == size,
        "SP362",
        f"announces {size} bytes of shape {list(shape)}, holds {len(body)}",
        where=str(path),
        mend="get the file again",
    )
    return np.frombuffer(body, np.uint8).reshape(shape)


def fashion(split: Split, folder: Path | None = None) -> Arrays:
    """Fashion-MNIST, 10 kinds of clothes, 28x28: x [N, 1, 28, 28] in exact 255ths between 0 and 1.

    The official test split of 10,000; of the official 60,000 a stratified twelfth (5,000) is for validation.
    """
    place = PLACE.find(folder)
    images, labels = (read_idx(place / name) for name in FILES["test" if split == "test" else "train"])
    x = (images.astype(np.float32) / np.float32(255))[:, None]
    y = labels.astype(np.int64)
    if split == "test":
        return x, y
    chosen = indices_of(y, split, val=1 / 12)
    return x[chosen], y[chosen]


FASHION_MNIST = Source(fashion, 10, status=PLACE.status, other_names=("fmnist",))
