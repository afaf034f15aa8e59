"""N-MNIST: MNIST seen by an event camera that moves (Orchard et al. 2015, doi 10.3389/fnins.2015.00437).

A recording is a ``.bin`` file of 40-bit events, big-endian: column (8 bits), row (8), polarity (1), microseconds (23).
Folders are Train/<digit>/<number>.bin and Test/..., as the official archives unpack, or a zip of them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from spikeport import console
from spikeport.findings import fail, require
from spikeport_models.datasets.events import Events, frames
from spikeport_models.datasets.parts import Split, stratified
from spikeport_models.datasets.places import Place

SIZE = (34, 34)
TIMESTEPS = 10

PLACE = Place(
    "n-mnist",
    inside=("n-mnist", "N-MNIST", "NMNIST", "n-mnist.zip", "n-mnist-subset.zip"),
    get="get Train.zip and Test.zip of N-MNIST (garrickorchard.com/datasets/n-mnist) and unpack both into one folder "
    "n-mnist",
)

File = tuple[str, Callable[[], bytes]]  #: path with / inside the set, and how to read it


def read_bin(data: bytes, where: str = "") -> Events:
    """The events of one recording. Raises SP362: cut short, or a pixel outside."""
    require(len(data) % 5 == 0, "SP362", f"has {len(data)} bytes; an event has five", where=where,
            mend="the file was cut short: get it again")  # fmt: skip
    raw = np.frombuffer(data, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, head = raw[:, 0], raw[:, 1], raw[:, 2]
    t = (head & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
    inside = bool((x < SIZE[1]).all() and (y < SIZE[0]).all())
    require(inside, "SP362", f"holds events outside {SIZE[0]}x{SIZE[1]} pixels", where=where)
    return Events(t, x, y, head >> 7)


def nmnist(
    split: Split, folder: Path | None = None, timesteps: int = TIMESTEPS
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Counted frames, x [T, N, 2, 34, 34], with the official test part.

    A tenth of Train, stratified, is for validation. Where the set has no Test part (a subset), a stratified fifth of
    Train stands in for it.
    """
    place = PLACE.find(folder)
    parts = _frames(str(place), timesteps)
    if parts["Test"][1].size:
        if split == "test":
            return parts["Test"]
        x, y = parts["Train"]
        train, val = stratified(y, 0.1)
        chosen = {"train": train, "val": val}[split]
    else:
        x, y = parts["Train"]
        rest, test = stratified(y, 0.2)
        train, val = stratified(y[rest], 0.1)
        chosen = {"train": rest[train], "val": rest[val], "test": test}[split]
    return x[:, chosen], y[chosen]


@lru_cache(maxsize=1)
def _frames(place: str, timesteps: int) -> dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]]:
    found: dict[str, list[tuple[int, NDArray[np.float32]]]] = {"Train": [], "Test": []}
    for name, read in _shown(_files(Path(place))):
        parts = PurePosixPath(name).parts
        if len(parts) < 3 or parts[-3] not in found or not parts[-2].isdigit():
            continue
        stack = frames(read_bin(read(), name), timesteps, SIZE)
        found[parts[-3]].append((int(parts[-2]), stack))
    if not found["Train"]:
        fail("SP362", "holds no recording Train/<digit>/<number>.bin", where=place)
    empty = np.zeros((timesteps, 0, 2, *SIZE), np.float32)
    return {
        part: (np.stack([stack for _, stack in some], 1) if some else empty,
               np.asarray([label for label, _ in some], np.int64))
        for part, some in found.items()
    }  # fmt: skip


def _shown(files: Sequence[File]) -> Iterator[File]:
    with console.progress("reading N-MNIST", "files") as at:
        for number, file in enumerate(files, 1):
            yield file
            at(number, len(files))


def _files(place: Path) -> list[File]:
    """All .bin files in the order of their paths."""
    if place.is_dir():
        return [(path.relative_to(place).as_posix(), path.read_bytes) for path in sorted(place.rglob("*.bin"))]
    try:
        with zipfile.ZipFile(place) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".bin"))
            bodies = {name: archive.read(name) for name in names}
        return [(name, partial(bodies.__getitem__, name)) for name in names]
    except (zipfile.BadZipFile, OSError) as error:
        fail("SP362", f"is no whole zip file ({error})", where=str(place), mend="get the file again")
