"""CIFAR-10 and CIFAR-100: 32x32 colour images, from the official python archives (Krizhevsky 2009).

The archives are pickles of Python 2. They are read by an unpickler that knows nothing but numpy arrays of bytes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport import reading
from spikeport.datasets import Arrays, Source, Split
from spikeport.findings import fail
from spikeport_models.datasets.parts import indices_of
from spikeport_models.datasets.places import Place

PLACE10 = Place(
    "cifar10",
    inside=("cifar-10-batches-py", "cifar-10-python.tar.gz", "cifar10/cifar-10-batches-py"),
    get="get cifar-10-python.tar.gz from www.cs.toronto.edu/~kriz/cifar.html",
)
PLACE100 = Place(
    "cifar100",
    inside=("cifar-100-python", "cifar-100-python.tar.gz", "cifar100/cifar-100-python"),
    get="get cifar-100-python.tar.gz from www.cs.toronto.edu/~kriz/cifar.html",
)

CLASSES = {b"labels": 10, b"fine_labels": 100}
LARGEST = 2**28  #: bytes of an archive, unpacked; CIFAR-10 has 186 MB


class _Stated:
    """What a pickle says of an array or of its type, taken down and not done."""

    def __init__(self, *said: Any) -> None:
        self.said = said
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def pixels(self) -> NDArray[np.uint8]:
        """The bytes of an array of bytes. Raises ValueError for another one."""
        _, shape, kind, fortran, data = self.state
        if not isinstance(kind, _Stated) or kind.said[0] not in (b"u1", "u1") or fortran:
            raise ValueError("pixels that are no bytes")
        return np.frombuffer(data, np.uint8).reshape(shape)


#: All that the official archives name; whatever else a file asks for is refused.
_KNOWN = {
    ("numpy", "ndarray"): _Stated,
    ("numpy", "dtype"): _Stated,
    ("numpy.core.multiarray", "_reconstruct"): _Stated,
    ("numpy._core.multiarray", "_reconstruct"): _Stated,
    ("_codecs", "encode"): lambda text, _: text.encode("latin1"),
}


class _Arrays(pickle._Unpickler):  # in Python: the other takes memory as it is told
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return _KNOWN[module, name]


def cifar10(split: Split, folder: Path | None = None) -> Arrays:
    """x [N, 3, 32, 32] in exact 255ths between 0 and 1; the official test part, a tenth of the rest for validation."""
    names = ["test_batch"] if split == "test" else [f"data_batch_{number}" for number in range(1, 6)]
    return _part(PLACE10.find(folder), "cifar-10-batches-py", names, b"labels", split)


def cifar100(split: Split, folder: Path | None = None) -> Arrays:
    """As `cifar10`, with the 100 fine labels."""
    names = ["test"] if split == "test" else ["train"]
    return _part(PLACE100.find(folder), "cifar-100-python", names, b"fine_labels", split)


def _part(place: Path, inner: str, names: Sequence[str], labels: bytes, split: Split) -> Arrays:
    batches = [_read(raw, f"{place}: {name}", labels) for name, raw in _files(place, inner, names)]
    pixels, y = (np.concatenate(batch) for batch in zip(*batches, strict=True))
    x = (pixels.astype(np.float32) / np.float32(255)).reshape(-1, 3, 32, 32)
    if split == "test":
        return x, y
    chosen = indices_of(y, split)
    return x[chosen], y[chosen]


def _files(place: Path, inner: str, names: Sequence[str]) -> list[tuple[str, bytes]]:
    try:
        if place.is_dir():
            return [(name, (place / name).read_bytes()) for name in names]
        raw = place.read_bytes()
        archive = reading.inflated(raw, LARGEST) if raw[:2] == b"\x1f\x8b" else raw
        if len(archive) > LARGEST:
            raise ValueError(f"more than {LARGEST:,} bytes")
        contents = reading.tar_members(archive, [f"{inner}/{name}" for name in names])
        return list(zip(names, contents, strict=True))
    except (OSError, ValueError) as error:
        fail("SP362", f"is no whole CIFAR archive ({error})", where=str(place), mend="get the file again")


def _read(raw: bytes, where: str, labels: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        batch = _Arrays(io.BytesIO(raw), encoding="bytes").load()
        pixels = batch[b"data"].pixels()
        y = np.asarray(batch[labels], np.int64)
        if pixels.shape != (len(y), 3072) or not ((y >= 0) & (y < CLASSES[labels])).all():
            raise ValueError(f"pixels of shape {pixels.shape} for {len(y)} labels")
        return pixels, y
    except Exception as error:  # a pickle that is damaged raises whatever its steps raise on what they do not expect
        fail("SP362", f"is no CIFAR batch ({reading.line(error)})", where=where, mend="get the official archive again")


CIFAR10 = Source(cifar10, CLASSES[b"labels"], status=PLACE10.status)
CIFAR100 = Source(cifar100, CLASSES[b"fine_labels"], status=PLACE100.status)
