"""Files and folders that a user brings as data: .npy, .npz, folders of them or of images, recordings of events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spikeport import datasets, reading
from spikeport.findings import Finding, fail, require
from spikeport.graph import Array, Graph
from spikeport.verbs.own_data import FORMS, SAMPLES, SPLITS, WHOLE, Brought, gather, members, parts_of, split_words
from spikeport.verbs.sequences import stacked

T = TypeVar("T")

IMAGES = (".png", ".jpg", ".jpeg", ".bmp")
TABLES = (".npy", ".npz")
OBSERVED = (".nir", ".h5", ".hdf5")  #: NIRData
EVENTS = (".aedat4", ".bin", ".csv", ".txt")


def is_own(name: str) -> bool:
    """Whether a word names a file or a folder of the user's, and no data set."""
    if datasets.is_name(name):
        return False
    path = Path(name)
    return path.suffix.lower() in (*TABLES, *OBSERVED, *EVENTS) or "/" in name or "\\" in name or path.exists()


def recording(data: Any, graph: Graph) -> Brought | None:
    """A file, or a folder with a sub-folder a class, of events in the frames that a graph takes; None for other data.

    Raises SP237 for a network that takes no event frames, SP36x for damaged files.
    """
    if not isinstance(data, str | Path):
        return None
    path = Path(data)
    if not _events(path):
        return None
    shape = graph.entry.shape
    if graph.entry.coding != "events" or len(shape) != 3 or shape[0] != 2:
        what = f"recordings of events make frames [T, 2, H, W], the network takes {list(shape)}"
        fail("SP237", what, where=str(data), mend="bring frames as an array, [T, B, ...]")
    x, y = datasets.recordings(path, graph.timesteps, (shape[1], shape[2]))
    what = f"events were counted in {graph.timesteps} equal parts of each recording's time, one a step"
    notes = [Finding("SP234", what, where=str(data), mend="for other frames bring arrays", severity="note")]
    if empty := int((~x.any(axis=(0, *range(2, x.ndim)))).sum()):
        what = f"{empty} of {x.shape[1]} recordings hold no event"
        notes.append(Finding("SP234", what, where=str(data), mend="leave them out if they should", severity="note"))
    return Brought(str(data), np.moveaxis(x, 0, 1), y, stacked=True, findings=tuple(notes))


def bring(data: Any, dt: float | None = None, split: str = "test", limit: int | None = None) -> Any:
    """Samples of the user's, read; names of data sets and recordings, whose frames depend on the network, stay.

    ``dt``: seconds a step, which NIRData's events need (SP226).
    """
    data = timed(data, dt)
    if isinstance(data, str | Path) and (not is_own(str(data)) or _events(Path(data))):
        return data
    if hasattr(data, "x") and hasattr(data, "axis"):  # samples that were loaded before
        x = np.moveaxis(data.x, data.axis, 0)
        return Brought(data.name, x, data.y, stacked=True, lengths=data.lengths, split=data.split)
    return gather(data, split, limit)


def timed(data: Any, dt: float | None) -> Any:
    """NIRData read in steps of ``dt`` seconds; whatever else holds samples stays as it is."""
    if isinstance(data, str | Path) and Path(data).suffix.lower() in OBSERVED:
        return _observed(Path(data), dt)
    return data


def one_of(data: Any, samples: Any) -> Any:
    """The samples, by either of the words for them; None where there are none. Raises SP707 for both."""
    if data is not None and samples is not None:
        fail("SP707", "two things to run on", mend="give --data or --input, which are one word, not both")
    return samples if data is None else data


def needed(data: Any, samples: Any) -> Any:
    """As `one_of`. Raises SP707 where there are none, too."""
    given = one_of(data, samples)
    require(given is not None, "SP707", "nothing to run on", mend=f"name it with --data: {FORMS}")
    return given


def _observed(path: Path, dt: float | None) -> Brought:
    """What enters a network, from NIRData: the one observable of the file, or that of a node called input.

    Raises SP230 where it cannot be told which, SP226 for events without ``dt``, SP202 and SP207 for a damaged file.
    """
    from spikeport.formats.nir import data

    observed = data.load(path, dt)
    entering = [each for each in observed if each.node.lower() == "input"] or observed
    if len(entering) != 1:
        names = ", ".join(f"{each.node}/{each.name}" for each in entering[:8]) or "nothing"
        mend = "keep one observable, or call its node input"
        fail("SP230", f"holds {names}; which are the samples?", where=str(path), mend=mend)
    (one,) = entering
    return Brought(
        str(path), one.values.reshape(*one.values.shape[:2], *one.shape), stacked=True, findings=one.findings
    )


def read(path: Path, split: str) -> Brought:
    """The samples and labels of a file or of a folder; of one with folders ``train``, ``val``, ``test`` one split.

    Raises SP907 for a file without numbers, SP230 for a folder without samples.
    """
    if path.is_dir():
        inner = _part(path, split) or path
        return replace(_folder(inner), split=WHOLE if inner == path else split)
    if path.suffix.lower() == ".npz":
        return members(_open(path, reading.npz_file), split, str(path))
    if path.suffix.lower() in OBSERVED:
        return _observed(path, None)
    if path.suffix.lower() in (".npy", ""):
        return Brought(str(path), read_array(path))
    if not path.exists():
        fail("SP907", "there is no such file", where=str(path), mend="check the path")
    fail("SP230", f"is no data that spikeport reads as {path.suffix}", where=str(path), mend=f"bring {FORMS}")


def has_part(data: Any, split: str) -> bool:
    """Whether a file, a folder or named arrays tell the samples of a split apart from others."""
    if isinstance(data, Mapping):
        return bool(parts_of(data, SAMPLES, split))
    if not isinstance(data, str | Path) or not is_own(str(data)):
        return False
    path = Path(data)
    if path.is_dir():
        return _part(path, split) is not None
    return path.suffix.lower() == ".npz" and bool(parts_of(_open(path, reading.npz_names), SAMPLES, split))


def a_split(data: Any) -> str:
    """One that there is: for those who ask for the shape of samples."""
    return next((each for each in ("test", *SPLITS) if has_part(data, each)), "test")


def _part(folder: Path, split: str) -> Path | None:
    """The folder of a split within that of all: train, Training, val, …; none among classes of other names."""
    names = [name for word in split_words(split) for name in (word, word.title())]
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def read_array(path: Path) -> Array:
    """A .npy file of numbers. Raises SP907 for anything else; never unpickles."""
    array = _open(path, reading.npy_file)
    if array.dtype.kind not in "biuf":
        fail("SP907", "is not one array of numbers", where=str(path), mend="write it with numpy.save")
    return array


def _open(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except FileNotFoundError:
        fail("SP907", "there is no such file", where=str(path), mend="check the path")
    except (OSError, ValueError) as error:
        fail("SP907", f"is not an array of numbers ({error})", where=str(path), mend="write it with numpy.save")


def _events(path: Path) -> bool:
    return path.suffix.lower() in EVENTS or _has(path, EVENTS)


def _has_samples(path: Path) -> bool:
    return _has(path, (".npy", *IMAGES))


def _has(path: Path, endings: tuple[str, ...]) -> bool:
    return path.is_dir() and any(each.suffix.lower() in endings for each in path.rglob("*"))


def _folder(path: Path) -> Brought:
    """A sample a file, in the order of their names; the names of sub-folders, in their order, are the classes."""
    classes = sorted(each.name for each in path.iterdir() if each.is_dir() and _has_samples(each))
    places = [path / name for name in classes] or [path]
    labelled = [
        (file, number)
        for number, place in enumerate(places)
        for file in sorted(place.rglob("*") if classes else place.glob("*"))
        if file.suffix.lower() in (".npy", *IMAGES)
    ]
    if not labelled:
        fail("SP230", "holds no .npy file and no image", where=str(path), mend=f"bring {FORMS}")
    images = any(file.suffix.lower() in IMAGES for file, _ in labelled)
    arrays = [_image(file) if file.suffix.lower() in IMAGES else read_array(file) for file, _ in labelled]
    odd = next((number for number, array in enumerate(arrays) if array.shape[1:] != arrays[0].shape[1:]), None)
    if odd is not None:
        what = f"has shape {list(arrays[odd].shape)}, {labelled[0][0].name} has {list(arrays[0].shape)}"
        fail("SP230", what, where=str(labelled[odd][0]), mend="cut or pad the samples to one shape")
    y = np.asarray([number for _, number in labelled], np.int64) if classes else None
    x, lengths = stacked(arrays)
    return Brought(str(path), x, y, True, lengths, findings=_said(path, classes, images))


def _said(path: Path, classes: list[str], images: bool) -> tuple[Finding, ...]:
    what = []
    if classes:
        what.append("classes are numbered by the names of their folders: " + ", ".join(classes[:10]))
    if images:
        what.append("images were read as bytes / 255, channels first, as torchvision's ToTensor does")
    mend = "for another order or another preparation bring arrays: --data FILE.npz with x and y"
    return tuple(Finding("SP234", each, where=str(path), mend=mend, severity="note") for each in what)


def _image(path: Path) -> Array:
    """[C, H, W] float32 from 0 to 1: C is 1 for grey images, else 3. Raises SP230 where Pillow cannot read it."""
    try:
        return reading.image(path).astype(np.float32) / np.float32(255)
    except (OSError, ValueError) as error:
        fail("SP230", f"is no image ({error})", where=str(path), mend="write it as .png again")


def whole(value: str | int, name: str) -> int:
    """A whole number as a user writes it. Raises SP908 for anything else."""
    try:
        return int(value)
    except ValueError:
        fail("SP908", f"{name} is {value!r}", mend="give a whole number")
