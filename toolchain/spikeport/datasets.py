"""What a data set is, and where data sets are found (entry-point group ``spikeport.datasets``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from spikeport import plugins
from spikeport.findings import Finding, SpikeportError, fail, require
from spikeport.graph import Coding, Samples
from spikeport.nearest import choose

GROUP = "spikeport.datasets"

Split = Literal["train", "val", "test"]
Frames = NDArray[np.float32]
Labels = NDArray[np.int64]
#: x and y of one split, as `Dataset` has them; or x, y and lengths
Arrays = tuple[Frames, Labels] | tuple[Frames, Labels, Labels]


@dataclass(frozen=True)
class Dataset:
    """One split, in memory."""

    x: NDArray[np.float32]  #: direct: [N, C, H, W]; events: [T, N, C, H, W]
    y: NDArray[np.int64]  #: [N], class numbers from 0
    coding: Coding
    classes: int
    name: str
    lengths: NDArray[np.int64] | None = None  #: [N], 1 ... T: steps of each sequence, where not all have T

    def __len__(self) -> int:
        return len(self.y)

    @property
    def samples(self) -> Samples:
        """x as a network takes it."""
        return Samples(self.x, self.coding, lengths=self.lengths)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame, [C, H, W]."""
        return self.samples.shape

    def take(self, limit: int | None) -> Dataset:
        """The first ``limit`` samples."""
        samples = self.samples.first(limit)
        return replace(self, x=samples.array, y=self.y[:limit], lengths=samples.lengths)


@dataclass(frozen=True, slots=True)
class Source:
    """How a data set is read: what an entry point in the group names.

    ``read(split)`` gives x and y of train, val or test, always the same samples in the same order; of sequences of
    unequal length, which begin at step 0 and are padded, also their lengths [N]. It also takes
    ``folder``, where the data lie in place of the usual places, and for events ``timesteps``, the number of frames;
    both are left out where nobody asks for them. It raises SP361 for missing data, SP362 for damaged files.
    """

    read: Callable[..., Arrays]
    classes: int | Callable[[Path], int]  #: or what counts them in a folder, for data that are named ``NAME:FOLDER``
    coding: Coding = "direct"
    status: Callable[[], str] = lambda: "comes with its package"  #: where it lies, or ``missing:`` and how to get it
    other_names: tuple[str, ...] = ()
    #: where it reads any recordings: frames [T, N, 2, H, W] of a file or a folder, and class numbers
    recordings: Callable[[Path, int, tuple[int, int]], tuple[Frames, Labels | None]] | None = None


def sources() -> dict[str, Source]:
    """All data sets by name; those whose names take a folder too. Raises SP365 for what is none."""
    return {name: _loaded(name) for name in plugins.entries(GROUP)}


def _loaded(name: str) -> Source:
    source = plugins.entries(GROUP)[name].load()
    where = f"data set {name!r}"
    require(isinstance(source, Source), "SP365", f"is {type(source).__name__}", where=where, mend="bring a Source")
    known = source.coding in get_args(Coding)
    require(known, "SP365", f"there is no coding {source.coding!r}", where=where, mend=" or ".join(get_args(Coding)))
    return source  # type: ignore[no-any-return]


def load(name: str, split: str = "test", folder: Path | str | None = None, timesteps: int | None = None) -> Dataset:
    """A split (train, val or test) of a data set, always the same samples in the same order.

    ``name`` is one of `sources`, with a colon and a folder behind it where the data set is any folder: ``events:PATH``
    has a sub-folder of event files a class. ``folder`` names where the data lie, in place of the usual places;
    ``timesteps`` is the number of event frames (10 by default).
    Raises SP360 for an unknown name, SP361 where the data are missing (with how to get them), SP362 for damaged files,
    SP363 for an unknown split, SP365 for a data set that gives something else than x and y.
    """
    if split not in get_args(Split):
        fail("SP363", f"there is no split {split!r}", mend=choose(split, get_args(Split)))
    head, colon, place = name.partition(":")
    known, source = _source(head, name)
    count = source.classes
    if callable(count) != bool(colon):
        _unknown(name)
    options: dict[str, Any] = {} if folder is None else {"folder": Path(folder)}
    if timesteps is not None and source.coding == "events":
        options["timesteps"] = timesteps
    if callable(count):
        options["folder"] = Path(place)
        return _read(source, split, options, lambda: count(Path(place)), name)
    return _read(source, split, options, lambda: count, known)


def _read(source: Source, split: str, options: dict[str, Any], classes: Callable[[], int], name: str) -> Dataset:
    where = f"data set {name!r}, {split}"
    parameters = inspect.signature(source.read).parameters
    takes = any(each.kind is each.VAR_KEYWORD for each in parameters.values()) or set(options) <= set(parameters)
    mend = "def read(split, folder=None) of files; def read(split, timesteps=10) with coding events"
    require(takes, "SP365", f"its read does not take {', '.join(options)}", where=where, mend=mend)
    x, y, lengths = _arrays(source.read(split, **options), where)
    count = classes()  # of a folder that could be read
    _check(source, x, y, count, where)
    samples = Samples(x, source.coding)
    if lengths is not None:
        samples = samples.ending(lengths, name)
    return Dataset(samples.array, y, source.coding, count, name, samples.lengths)


def _arrays(given: Any, where: str) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """x, y and perhaps lengths. Raises SP365 for anything else."""
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        kind = type(given).__name__ + (f" of {len(given)}" if isinstance(given, tuple | list) else "")
        fail("SP365", f"gives {kind}", where=where, mend="return x and y, or x, y and lengths")
    x, y, *lengths = given
    return np.asarray(x), np.asarray(y), lengths[0] if lengths else None


def _check(source: Source, x: NDArray[Any], y: NDArray[Any], classes: int, where: str) -> None:
    """Raises SP365 with all that x and y are not of what `Dataset` says."""
    events = source.coding == "events"
    number = x.shape[int(events)] if x.ndim > int(events) else 0
    whole = y.ndim == 1 and y.dtype.kind in "iu"
    low, high = (int(y.min()), int(y.max())) if whole and y.size else (0, 0)
    rules = (
        (x.dtype == np.float32, f"x is {x.dtype}", "x.astype(np.float32), pixels over 255"),
        (x.ndim > 1 + events, f"x has shape {list(x.shape)}", "[T, N, ...]" if events else "[N, ...]"),
        (number > 0, "there are no samples", "give at least one a class"),
        (whole, f"y is {y.dtype} {list(y.shape)}", "class numbers: whole numbers [N]"),
        (y.ndim != 1 or len(y) == number, f"there are {number} samples and {len(y)} labels", "one label a sample"),
        (0 <= low <= high < max(classes, 1), f"classes go from {low} to {high}", f"from 0 to {classes - 1}"),
    )
    findings = [Finding("SP365", what, where, mend=mend) for right, what, mend in rules if not right]
    if findings:
        raise SpikeportError(findings)


def is_name(name: str) -> bool:
    """Whether a word names a data set, with or without a folder behind a colon."""
    head = name.partition(":")[0]
    entries = plugins.entries(GROUP)
    return head in entries or any(head in _loaded(known).other_names for known in entries)


def recordings(path: Path, timesteps: int, size: tuple[int, int]) -> tuple[Frames, Labels | None]:
    """Frames [T, N, 2, H, W] of a file of events or of a folder, and labels where its sub-folders are classes.

    Raises SP360 where nothing reads recordings, SP361 for a missing file, SP362 for a damaged one or for pixels
    outside ``size``.
    """
    for source in sources().values():
        if source.recordings is not None:
            return source.recordings(path, timesteps, size)
    fail("SP360", "no package that reads recordings of events is installed", where=str(path))


def status() -> dict[str, str]:
    """Each data set's name with where it is, or how to get it."""
    return {name: source.status() for name, source in _plain().items()}


def _source(head: str, name: str) -> tuple[str, Source]:
    """The data set that is called ``head``, and its first name; others are imported only where none is."""
    entries = plugins.entries(GROUP)
    for known in [head] if head in entries else entries:
        source = _loaded(known)
        if head in (known, *source.other_names):
            return known, source
    _unknown(name)


def _unknown(name: str) -> NoReturn:
    folders = [f", or {known}:FOLDER" for known, source in sources().items() if callable(source.classes)]
    mend = f"{choose(name, _plain())}{''.join(folders)}, or bring it: --plugin FILE.py"
    fail("SP360", f"there is no data set {name!r}", mend=mend)


def _plain() -> dict[str, Source]:
    """The data sets that are no folder of the user's."""
    return {name: source for name, source in sources().items() if not callable(source.classes)}
