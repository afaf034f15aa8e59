"""Frames of recordings, made once and kept on disk, and read from there a page at a time.

A large set never lies in memory: N-MNIST in ten frames is 6.5 GB. The files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport.datasets import Arrays, Frames, Split
from spikeport.files import replacing
from spikeport.findings import fail
from spikeport.terminal import console
from spikeport_models.datasets.events import Events, frames
from spikeport_models.datasets.parts import indices_of

VARIABLE = "SPIKEPORT_CACHE"  #: environment variable: the folder of prepared frames
VERSION = 1  #: raised when frames are made otherwise

Size = tuple[int, int]  #: rows and columns


@dataclass(frozen=True)
class Recording:
    """One sample of an event data set, not yet read."""

    name: str  #: path inside the set
    stamp: str  #: another one where the content is another: a checksum, or size and time of change
    label: int
    read: Callable[[], Events]

    @classmethod
    def of_file(cls, path: Path, label: int, read: Callable[[Path], Events]) -> Recording:
        """A recording in a file of its own."""
        facts = path.stat()
        return cls(str(path), f"{facts.st_size} {facts.st_mtime_ns}", label, lambda: read(path))


def folder() -> Path:
    """Where prepared frames lie: what the variable names, else spikeport's folder in the user's cache."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeport"


def pick(recordings: Sequence[Recording], split: Split, *, test: float = 0.0) -> list[Recording]:
    """The recordings of one split (see `parts.indices_of`)."""
    return [recordings[index] for index in indices_of(_labels(recordings), split, test=test)]


def _labels(recordings: Sequence[Recording]) -> NDArray[np.int64]:
    """Class numbers [N]."""
    return np.asarray([each.label for each in recordings], np.int64)


def prepared(
    name: str,
    recordings: Sequence[Recording],
    timesteps: int,
    size: Size | Callable[[], Size],
    also: Sequence[Recording] = (),
) -> Arrays:
    """Counted frames [T, N, 2, H, W] of ``recordings``, as a memory map of a file in `folder`, and their labels.

    The file is made on first use, with progress, and appears whole. Its name holds what it depends on: names and stamps
    of the recordings and of ``also``, the others that ``size`` depends on; T, and VERSION. ``size`` is asked for only
    then. Raises SP364 where it cannot be written, and what reading a recording raises.
    """
    if not recordings:
        rows, columns = size() if callable(size) else size
        return np.zeros((timesteps, 0, 2, rows, columns), np.float32), _labels(recordings)
    facts = [f"{timesteps} {len(recordings)}", *(f"{each.name} {each.stamp}" for each in (*recordings, *also))]

    def fill(stack: Frames) -> None:
        grid = (stack.shape[-2], stack.shape[-1])
        with console.progress(f"preparing {len(recordings):,} recordings in {folder()}, once", "recordings") as at:
            for number, recording in enumerate(recordings):
                stack[:, number] = frames(recording.read(), timesteps, grid)
                at(number + 1, len(recordings))

    def shape() -> tuple[int, ...]:
        return (timesteps, len(recordings), 2, *(size() if callable(size) else size))

    return kept(f"{name}-T{timesteps}", facts, shape, fill), _labels(recordings)


def kept(
    name: str, facts: Sequence[str], shape: Callable[[], tuple[int, ...]], fill: Callable[[Frames], None]
) -> Frames:
    """An array as a memory map of a file in `folder`, made by ``fill`` where no whole one for these ``facts`` is there.

    Raises SP364 where it cannot be written.
    """
    known = hashlib.sha256("\n".join([f"{VERSION} {facts[0]}", *facts[1:]]).encode()).hexdigest()[:20]
    path = folder() / f"{name}-{known}.npy"
    values = _mapped(path)
    if values is None:
        size = shape()
        with replacing(path) as part:
            stack = _room(part, size)
            fill(stack)
            stack.flush()
        values = _mapped(path)
    assert values is not None
    return values


def _mapped(path: Path) -> Frames | None:
    """What was prepared before, as pages of the file; None where there is none, or it was cut short."""
    try:
        # "c": torch takes them for writable; what is written stays in memory
        frames: Frames = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return frames


def _room(part: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.float32]]:
    """A new file of zeros as an array. Raises SP364."""
    needed = 4 * int(np.prod(shape, dtype=np.int64))
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(part.parent).free
        if free < needed:
            raise OSError(f"{needed:,} bytes are needed, {free:,} are free")
        stack: np.memmap[Any, np.dtype[np.float32]] = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
            part, mode="w+", dtype=np.float32, shape=shape
        )
        if hasattr(os, "posix_fallocate"):  # a page that finds no room ends the process
            with part.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
        return stack
    except OSError as error:
        fail(
            "SP364",
            f"frames cannot be written ({error})",
            where=str(part.parent),
            mend=f"set {VARIABLE} to a folder with room",
        )
