"""What a data set is, and where data sets are found (entry-point group ``spikeport.datasets``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from spikeport import plugins
from spikeport.findings import fail
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
    """All data sets by name; those whose names take a folder too."""
    return {name: entry.load() for name, entry in plugins.entries(GROUP).items()}


def load(name: str, split: str = "test", folder: Path | str | None = None, timesteps: int | None = None) -> Dataset:
    """A split (train, val or test) of a data set, always the same samples in the same order.

    ``name`` is one of `sources`, with a colon and a folder behind it where the data set is any folder: ``events:PATH``
    has a sub-folder of event files a class. ``folder`` names where the data lie, in place of the usual places;
    ``timesteps`` is the number of event frames (10 by default).
    Raises SP360 for an unknown name, SP361 where the data are missing (with how to get them), SP362 for damaged files,
    SP363 for an unknown split.
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
    x, y, *lengths = source.read(split, **options)
    samples = Samples(x, source.coding)
    if lengths:
        samples = samples.ending(lengths[0], name)
    return Dataset(samples.array, y, source.coding, classes(), name, samples.lengths)


def is_name(name: str) -> bool:
    """Whether a word names a data set, with or without a folder behind a colon."""
    head = name.partition(":")[0]
    entries = plugins.entries(GROUP)
    return head in entries or any(head in entry.load().other_names for entry in entries.values())


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
        source: Source = entries[known].load()
        if head in (known, *source.other_names):
            return known, source
    _unknown(name)


def _unknown(name: str) -> NoReturn:
    folders = [f", or {known}:FOLDER" for known, source in sources().items() if callable(source.classes)]
    mend = f"{choose(name, _plain())}{''.join(folders)}"
    fail("SP360", f"there is no data set {name!r}", mend=mend)


def _plain() -> dict[str, Source]:
    """The data sets that are no folder of the user's."""
    return {name: source for name, source in sources().items() if not callable(source.classes)}
