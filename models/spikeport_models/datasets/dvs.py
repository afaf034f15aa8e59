"""Recordings of event cameras: CIFAR10-DVS, DVS-Gesture, and any folder with a sub-folder of files a class.

Frames are counted events of equal parts of a recording's time, pixels binned to the size asked for (a pixel x of W goes
to x * w // W). The published CIFAR10-DVS results use another front end, which loses counts and erases polarities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeport import reading
from spikeport.datasets import Arrays, Frames, Labels, Source, Split
from spikeport.findings import SpikeportError, fail
from spikeport.terminal import console
from spikeport_models.datasets.events import Events, frames
from spikeport_models.datasets.places import Place
from spikeport_models.datasets.prepared import Recording, Size, pick, prepared
from spikeport_models.datasets.recordings import READERS, read_events, sorted_events

Reader = Callable[[Path], Events]

HOW_TO_GET_CIFAR10 = (
    "get the ten zip files of CIFAR10-DVS (doi 10.6084/m9.figshare.4724671.v2), or let tonic.datasets.CIFAR10DVS "
    "download them, and unpack them into one folder cifar10-dvs with a sub-folder of .aedat4 files a class"
)
HOW_TO_GET_GESTURE = (
    "get ibmGestureTrain.tar.gz and ibmGestureTest.tar.gz as tonic.datasets.DVSGesture downloads them (figshare "
    "38022171 and 38020584), and unpack both into one folder dvs-gesture"
)
CIFAR10_PLACE = Place("cifar10-dvs", ("cifar10-dvs", "CIFAR10DVS"), ("airplane", "truck"), get=HOW_TO_GET_CIFAR10)
GESTURES = ("ibmGestureTrain", "ibmGestureTest")
GESTURE_PLACE = Place("dvs-gesture", ("dvs-gesture", "DVSGesture"), GESTURES, get=HOW_TO_GET_GESTURE)


def cifar10_dvs(split: Split, folder: Path | None = None, timesteps: int = 10) -> Arrays:
    """x [T, N, 2, 48, 48]. There is no official test part: a stratified tenth, and a tenth of the rest to validate."""
    place = CIFAR10_PLACE.find(folder)
    recordings = _in_classes(place, _classes(place), _camera(read_events, (48, 48)), (".aedat4",))
    return prepared("cifar10-dvs", _split(recordings, split, 0.1, place), timesteps, (48, 48))


def dvs_gesture(split: Split, folder: Path | None = None, timesteps: int = 10) -> Arrays:
    """x [T, N, 2, 32, 32], the official parts; a stratified tenth of the training part is for validation.

    Files are those of tonic: ``ibmGestureTrain/<user>_<light>/<class>.npy``, [events, 4] with x, y, p, milliseconds.
    """
    place = GESTURE_PLACE.find(folder) / ("ibmGestureTest" if split == "test" else "ibmGestureTrain")
    read = _camera(_gesture, (32, 32))
    recordings = [Recording.of_file(path, int(path.stem), read) for path in sorted(place.rglob("*.npy"))]
    return prepared("dvs-gesture", recordings if split == "test" else pick(recordings, split), timesteps, (32, 32))


def event_folder(split: Split, folder: Path, timesteps: int = 10) -> Arrays:
    """x [T, N, 2, H, W] from ``folder/<class>/*``, or ``folder/train|test/<class>/*`` with the split that this makes.

    Classes are numbered in the order of their names; H and W are what the whole folder's events need. Without a test
    part a stratified fifth is for the test; a tenth of the rest is for validation.
    """
    top = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else {}
    official = {"train", "test"} <= set(top)
    roots = [top["train"], top["test"]] if official else [folder] if top else []
    parts = [_in_classes(root, _classes(*roots), read_events, tuple(READERS)) for root in roots]
    every = [recording for recordings in parts for recording in recordings]
    if not every:
        what, mend = "holds no recordings in sub-folders, one a class", f"files are {', '.join(READERS)}"
        fail("SP362", what, where=str(folder), mend=mend)
    if not official:
        chosen = _split(every, split, 0.2, folder)
    else:
        chosen = parts[1] if split == "test" else pick(parts[0], split)
    return prepared("events", chosen, timesteps, lambda: _size(every), every)


def class_count(folder: Path) -> int:
    """How many classes `event_folder` finds."""
    inner = next((path for path in folder.iterdir() if path.name.lower() == "train"), folder)
    return sum(path.is_dir() for path in inner.iterdir())


def event_files(path: Path, timesteps: int, size: Size) -> tuple[Frames, Labels | None]:
    """x [T, N, 2, H, W] of one file, or of a folder's files; its sub-folders, in the order of their names, are classes.

    Raises SP361 for a missing file, SP362 for one that holds no events or pixels outside ``size``.
    """
    if not path.is_dir():
        if not path.is_file():
            fail("SP361", "there is no such file", where=str(path), mend="check the path")
        return _counted([Recording.of_file(path, 0, read_events)], timesteps, size), None
    classes = _classes(path)
    inside = [(each, number) for number, name in enumerate(classes) for each in sorted((path / name).rglob("*"))]
    files = inside or [(each, 0) for each in sorted(path.iterdir())]
    every = [Recording.of_file(each, number, read_events) for each, number in files if each.suffix in READERS]
    if not every:
        fail("SP362", "holds no recording", where=str(path), mend=f"files are {', '.join(READERS)}")
    labels = np.asarray([each.label for each in every], np.int64) if inside else None
    return _counted(every, timesteps, size), labels


def _counted(recordings: Sequence[Recording], timesteps: int, size: Size) -> Frames:
    """Counted frames [T, N, 2, H, W]. Raises SP362 for pixels outside ``size``."""
    stacks = []
    for each in recordings:
        events = each.read()
        if len(events) and (int(events.y.max()) >= size[0] or int(events.x.max()) >= size[1]):
            what = f"holds events up to row {events.y.max()}, column {events.x.max()}; the network takes {size}"
            fail("SP362", what, where=each.name, mend="bin the pixels, or bring frames as an array")
        stacks.append(frames(events, timesteps, size))
    return np.stack(stacks, axis=1)


CIFAR10_DVS = Source(cifar10_dvs, 10, "events", CIFAR10_PLACE.status)
DVS_GESTURE = Source(dvs_gesture, 11, "events", GESTURE_PLACE.status)
FOLDER = Source(event_folder, class_count, "events", recordings=event_files)


def _classes(*roots: Path) -> list[str]:
    """The names of sub-folders, in the order in which classes are numbered."""
    return sorted({path.name for root in roots for path in root.iterdir() if path.is_dir()})


def _in_classes(root: Path, classes: Sequence[str], read: Reader, endings: tuple[str, ...]) -> list[Recording]:
    """The files with such endings below the sub-folder of each class."""
    return [
        Recording.of_file(path, label, read)
        for label, name in enumerate(classes)
        for path in sorted((root / name).rglob("*"))
        if path.suffix in endings
    ]


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


def _split(recordings: Sequence[Recording], split: Split, test_share: float, where: Path) -> list[Recording]:
    try:
        return pick(recordings, split, test=test_share)
    except SpikeportError as error:
        raise SpikeportError(replace(finding, where=str(where)) for finding in error.findings) from None


def _gesture(path: Path) -> Events:
    try:
        x, y, p, milliseconds = reading.npy_file(path).T
        return sorted_events(np.asarray(milliseconds, np.float64) * 1000, x, y, p)
    except (OSError, ValueError) as error:
        fail("SP362", f"holds no events ({error})", where=str(path), mend="get the archive again")


def _camera(read: Reader, size: Size) -> Reader:
    """Read recordings of a 128x128 camera on a grid of ``size``."""
    return lambda path: binned(read(path), (128, 128), size)


def binned(events: Events, camera: tuple[int, int], size: tuple[int, int]) -> Events:
    """The same events on a grid of ``size`` (H, W) instead of ``camera``'s. Raises SP362 for pixels outside."""
    if len(events) and (int(events.y.max()) >= camera[0] or int(events.x.max()) >= camera[1]):
        fail("SP362", f"a recording holds events outside {camera[0]}x{camera[1]} pixels")
    return replace(events, y=events.y * size[0] // camera[0], x=events.x * size[1] // camera[1])
