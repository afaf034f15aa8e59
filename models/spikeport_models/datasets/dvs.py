"""Recordings of event cameras: CIFAR10-DVS, DVS-Gesture, and any folder with a sub-folder of files a class.

Frames are counted events of equal parts of a recording's time, pixels binned to the size asked for (a pixel x of W goes
to x * w // W). The published CIFAR10-DVS results use another front end, which loses counts and erases polarities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.terminal import console
from spikeport_models.datasets.events import Events
from spikeport_models.datasets.parts import Split, stratified
from spikeport_models.datasets.places import Place
from spikeport_models.datasets.prepared import Recording, Size, labels, prepared
from spikeport_models.datasets.recordings import READERS, read_events, sorted_events

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]
Item = tuple[Path, int]  #: a recording and its class

CIFAR10_DVS = Place(
    "cifar10-dvs",
    inside=("cifar10-dvs", "CIFAR10DVS"),
    needs=("airplane", "truck"),
    get="get the ten zip files of CIFAR10-DVS (doi 10.6084/m9.figshare.4724671.v2), or let tonic.datasets.CIFAR10DVS "
    "download them, and unpack them into one folder cifar10-dvs with a sub-folder of .aedat4 files a class",
)
DVS_GESTURE = Place(
    "dvs-gesture",
    inside=("dvs-gesture", "DVSGesture"),
    needs=("ibmGestureTrain", "ibmGestureTest"),
    get="get ibmGestureTrain.tar.gz and ibmGestureTest.tar.gz as tonic.datasets.DVSGesture downloads them (figshare "
    "38022171 and 38020584), and unpack both into one folder dvs-gesture",
)


def cifar10_dvs(split: Split, folder: Path | None = None, timesteps: int = 10) -> Arrays:
    """x [T, N, 2, 48, 48]. There is no official test part: a stratified tenth, and a tenth of the rest to validate."""
    place = CIFAR10_DVS.find(folder)
    names = sorted(path.name for path in place.iterdir() if path.is_dir())
    items = [(path, label) for label, name in enumerate(names) for path in sorted((place / name).rglob("*.aedat4"))]
    return _frames("cifar10-dvs", _split(items, split, 0.1, str(place)), read_events, timesteps, (48, 48))


def dvs_gesture(split: Split, folder: Path | None = None, timesteps: int = 10) -> Arrays:
    """x [T, N, 2, 32, 32], the official parts; a stratified tenth of the training part is for validation.

    Files are those of tonic: ``ibmGestureTrain/<user>_<light>/<class>.npy``, [events, 4] with x, y, p, milliseconds.
    """
    place = DVS_GESTURE.find(folder) / ("ibmGestureTest" if split == "test" else "ibmGestureTrain")
    items = [(path, int(path.stem)) for path in sorted(place.rglob("*.npy"))]
    if split != "test":
        train, val = stratified(np.asarray([label for _, label in items]), 0.1)
        items = [items[index] for index in (train if split == "train" else val)]
    return _frames("dvs-gesture", items, _gesture, timesteps, (32, 32))


def event_folder(split: Split, folder: Path, timesteps: int = 10) -> Arrays:
    """x [T, N, 2, H, W] from ``folder/<class>/*``, or ``folder/train|test/<class>/*`` with the split that this makes.

    Classes are numbered in the order of their names; H and W are what the whole folder's events need. Without a test
    part a stratified fifth is for the test; a tenth of the rest is for validation.
    """
    top = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else {}
    official = {"train", "test"} <= set(top)
    roots = [top["train"], top["test"]] if official else [folder]
    names = sorted({path.name for root in roots for path in root.iterdir() if path.is_dir()} if top else set())
    found = [[(path, label) for label, name in enumerate(names) for path in _files(root / name)] for root in roots]
    if not any(found):
        fail(
            "SP362",
            "holds no recordings in sub-folders, one a class",
            where=str(folder),
            mend=f"files are {', '.join(READERS)}",
        )
    if official and split == "test":
        chosen: Sequence[Item] = found[1]
    elif official:
        train, val = stratified(np.asarray([label for _, label in found[0]]), 0.1)
        chosen = [found[0][index] for index in (train if split == "train" else val)]
    else:
        chosen = _split(found[0], split, 0.2, str(folder))
    every = [Recording.of_file(path, label, read_events) for items in found for path, label in items]
    some = [Recording.of_file(path, label, read_events) for path, label in chosen]
    return prepared("events", some, timesteps, lambda: _size(every), every), labels(some)


def _size(recordings: Sequence[Recording]) -> Size:
    """Rows and columns that hold every event."""
    rows = columns = 0
    with console.progress("reading recordings", "recordings") as at:
        for number, recording in enumerate(recordings, 1):
            events = recording.read()
            rows = max(rows, int(events.y.max(initial=0)) + 1)
            columns = max(columns, int(events.x.max(initial=0)) + 1)
            at(number, len(recordings))
    return rows, columns


def class_count(folder: Path) -> int:
    """How many classes `event_folder` finds."""
    inner = next((path for path in folder.iterdir() if path.name.lower() == "train"), folder)
    return sum(path.is_dir() for path in inner.iterdir())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in READERS)


def _split(items: Sequence[Item], split: Split, test_share: float, where: str) -> list[Item]:
    labels = np.asarray([label for _, label in items])
    try:
        rest, test = stratified(labels, test_share)
        train, val = stratified(labels[rest], 0.1)
    except ValueError as error:
        fail("SP362", f"has too few recordings to split ({error})", where=where)
    return [items[index] for index in {"train": rest[train], "val": rest[val], "test": test}[split]]


def _gesture(path: Path) -> Events:
    try:
        x, y, p, milliseconds = np.load(path, allow_pickle=False).T
        return sorted_events(np.asarray(milliseconds, np.float64) * 1000, x, y, p)
    except (OSError, ValueError, EOFError) as error:
        fail("SP362", f"holds no events ({error})", where=str(path), mend="get the archive again")


def _frames(name: str, items: Sequence[Item], read: Callable[[Path], Events], timesteps: int, size: Size) -> Arrays:
    """Frames of recordings of a 128x128 camera, and their labels."""
    some = [Recording.of_file(path, label, lambda path: binned(read(path), (128, 128), size)) for path, label in items]
    return prepared(name, some, timesteps, size), labels(some)


def binned(events: Events, camera: tuple[int, int], size: tuple[int, int]) -> Events:
    """The same events on a grid of ``size`` (H, W) instead of ``camera``'s. Raises SP362 for pixels outside."""
    if len(events) and (int(events.y.max()) >= camera[0] or int(events.x.max()) >= camera[1]):
        fail("SP362", f"a recording holds events outside {camera[0]}x{camera[1]} pixels")
    return replace(events, y=events.y * size[0] // camera[0], x=events.x * size[1] // camera[1])
