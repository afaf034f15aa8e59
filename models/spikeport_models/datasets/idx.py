"""IDX files, as MNIST and Fashion-MNIST come: a magic number, the sizes, then bytes; usually gzipped.

Format: http://yann.lecun.com/exdb/mnist/ (two zero bytes, type 0x08 = unsigned byte, number of axes, big-endian sizes).
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikeport import reading
from spikeport.datasets import Arrays, Source, Split
from spikeport.findings import fail, require
from spikeport_models.datasets.parts import indices_of
from spikeport_models.datasets.places import Place

MOST_AXES = 4  #: images with channels; MNIST's have three
CLASSES = 10
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
        raw = path.read_bytes()
        head = reading.inflated(raw, 4 + 4 * MOST_AXES) if path.suffix == ".gz" else raw
        zero, kind, axes = struct.unpack(">HBB", head[:4])
        if axes > MOST_AXES:
            raise ValueError(f"{axes} axes")
        shape = struct.unpack(f">{axes}I", head[4 : 4 + 4 * axes])
        size = math.prod(shape)
        whole = reading.inflated(raw, 4 + 4 * axes + size) if path.suffix == ".gz" else raw
    except (OSError, ValueError, struct.error) as error:
        fail("SP362", f"is no whole IDX file ({error})", where=str(path), mend="get the file again")
    body = whole[4 + 4 * axes :]
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
    names = FILES["test" if split == "test" else "train"]
    images, labels = (_latest(place / name) for name in names)
    require(
        images.shape == (len(labels), 28, 28) and labels.ndim == 1 and int(labels.max(initial=0)) < CLASSES,
        "SP362",
        f"{names[0]} of shape {list(images.shape)} and {names[1]} of {list(labels.shape)} are not of one data set",
        where=str(place),
        mend=f"images are 28x28, one label for each, below {CLASSES}; get the files again",
    )
    y = labels.astype(np.int64)
    chosen = slice(None) if split == "test" else indices_of(y, split, val=1 / 12)
    return (images[chosen].astype(np.float32) / np.float32(255))[:, None], y[chosen]


def _latest(path: Path) -> NDArray[np.uint8]:
    """`read_idx`; what was read last is kept, images and labels: training and validation share their files."""
    return _kept(path, path.stat().st_mtime_ns) if path.is_file() else read_idx(path)


@lru_cache(maxsize=2)
def _kept(path: Path, changed: int) -> NDArray[np.uint8]:
    return read_idx(path)


FASHION_MNIST = Source(fashion, CLASSES, status=PLACE.status, other_names=("fmnist",))
