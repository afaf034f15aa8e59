"""N-MNIST: MNIST seen by an event camera that moves (Orchard et al. 2015, doi 10.3389/fnins.2015.00437).

A recording is a ``.bin`` file of 40-bit events, big-endian: column (8 bits), row (8), polarity (1), microseconds (23).
Folders are Train/<digit>/<number>.bin and Test/..., as the official archives unpack, or a zip of them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from spikeport import reading
from spikeport.datasets import Arrays, Source, Split
from spikeport.findings import fail, require
from spikeport_models.datasets.events import Events
from spikeport_models.datasets.places import Place
from spikeport_models.datasets.prepared import Recording, pick, prepared

SIZE = (34, 34)
DIGITS = tuple("0123456789")
TIMESTEPS = 10

PLACE = Place(
    "n-mnist",
    inside=("n-mnist", "N-MNIST", "NMNIST", "n-mnist.zip", "n-mnist-subset.zip"),
    get="get Train.zip and Test.zip of N-MNIST (garrickorchard.com/datasets/n-mnist) and unpack both into one folder "
    "n-mnist",
)


def _whole(size: int, where: str) -> None:
    require(
        size % 5 == 0,
        "SP362",
        f"has {size} bytes; an event has five",
        where=where,
        mend="the file was cut short: get it again",
    )


def read_bin(data: bytes, where: str = "") -> Events:
    """The events of one recording. Raises SP362: cut short, or a pixel outside."""
    _whole(len(data), where)
    raw = np.frombuffer(data, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, head = raw[:, 0], raw[:, 1], raw[:, 2]
    t = (head & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
    inside = bool((x < SIZE[1]).all() and (y < SIZE[0]).all())
    require(inside, "SP362", f"holds events outside {SIZE[0]}x{SIZE[1]} pixels", where=where)
    return Events(t, x, y, head >> 7)


def nmnist(split: Split, folder: Path | None = None, timesteps: int = TIMESTEPS) -> Arrays:
    """Counted frames, x [T, N, 2, 34, 34], with the official test part; x is a memory map (`prepared`).

    A tenth of Train, stratified, is for validation. Where the set has no Test part (a subset), a stratified fifth of
    Train stands in for it.
    """
    place = PLACE.find(folder)
    recordings = _recordings(place)
    train, test = (
        [each for each in recordings if PurePosixPath(each.name).parts[-3] == part] for part in ("Train", "Test")
    )
    if not train:
        fail("SP362", "holds no recording Train/<digit>/<number>.bin", where=str(place))
    if split != "test" or not test:
        test = pick(train, split, test=0.0 if test else 0.2)
    return prepared("n-mnist", test, timesteps, SIZE)


SOURCE = Source(nmnist, 10, "events", PLACE.status, ("nmnist",))


def _recordings(place: Path) -> list[Recording]:
    """Every (Train|Test)/<digit>/<number>.bin in the order of the paths. Raises SP362: no zip file, a cut recording."""
    recordings = []
    for name, size, stamp, read in _in_folder(place) if place.is_dir() else _in_archive(place):
        parts = PurePosixPath(name).parts
        if len(parts) >= 3 and parts[-3] in ("Train", "Test") and parts[-2] in DIGITS:
            _whole(size, name)
            recordings.append(Recording(name, f"{size} {stamp}", int(parts[-2]), partial(_events, read, name)))
    return recordings


#: a file's name, bytes, what changes with its content, and its content
File = tuple[str, int, str, Callable[[], bytes]]


def _in_folder(place: Path) -> Iterator[File]:
    for path in sorted(place.rglob("*.bin")):
        facts = path.stat()
        yield str(path), facts.st_size, str(facts.st_mtime_ns), path.read_bytes


def _in_archive(place: Path) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(place)
    except (zipfile.BadZipFile, *reading.DAMAGED_MEMBER, UnicodeError, ValueError) as error:
        fail("SP362", f"is no whole zip file ({error})", where=str(place), mend="get the file again")
    for each in sorted(archive.infolist(), key=lambda each: each.filename):
        if each.filename.endswith(".bin"):
            yield each.filename, each.file_size, f"{each.CRC:08x}", partial(_member, archive, each.filename)


def _events(read: Callable[[], bytes], name: str) -> Events:
    return read_bin(read(), name)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return reading.member(archive, archive.getinfo(name))
    except (OSError, ValueError) as error:
        fail("SP362", f"is no whole zip file ({error})", where=f"{archive.filename}: {name}", mend="get the file again")
