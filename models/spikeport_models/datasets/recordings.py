"""Files of events: N-MNIST's .bin, numpy's .npy and .npz, text, and .aedat4 through the package aedat (MIT)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport import reading
from spikeport.findings import fail
from spikeport_models.datasets import apart
from spikeport_models.datasets.events import Events
from spikeport_models.datasets.times import microseconds

COLUMNS = ("t", "x", "y", "p")  #: time, column, row, polarity
#: what headers and fields call them
NAMES = {
    "t": ("t", "time", "times", "timestamp", "timestamps", "ts"),
    "x": ("x", "column", "col"),
    "y": ("y", "row"),
    "p": ("p", "pol", "polarity", "on"),
}
MOST_PIXELS = 2**14  #: of a row or a column; the largest event cameras have about 2**11
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
HEADER = re.compile(r"([a-zA-Zµ]+?)(?:[\s_]*[\[(]?(s|sec|seconds|ms|us|µs|microseconds|ns)[\])]?)?")


def read_events(path: Path) -> Events:
    """The events of one file, in the order of time. Raises SP362 for anything else, SP361 where aedat is missing.

    .bin: as N-MNIST. .npy: records with the fields t, x, y, p, or [events, 4] in this order. .npz: arrays t, x, y, p.
    .csv, .txt: a line an event, separated by commas, semicolons or blanks, in this order unless the first line, with or
    without #, names the columns; other lines starting with # are left out. .aedat4: the stream of events with the
    lowest number. Times are microseconds; `times` says which others are recognised.
    """
    reader = READERS.get(path.suffix)
    if reader is None:
        fail(
            "SP362", "is no file of events that spikeport reads", where=str(path), mend=f"it reads {', '.join(READERS)}"
        )
    try:
        return sorted_events(*reader(path))
    except (OSError, ValueError) as error:
        fail("SP362", f"holds no events ({reading.line(error)})", where=str(path), mend="columns are t, x, y, p")


def sorted_events(t: Any, x: Any, y: Any, p: Any, unit: str = "") -> Events:
    """Events from four columns; polarities are 0 and 1, or -1 and 1. ``unit`` is of the times, where it is known."""
    if any(np.asarray(column).dtype.kind not in "biuf" for column in (x, y, p)):
        raise ValueError("pixels or polarities that are no numbers")
    for column in (x, y, p):
        values = np.asarray(column, np.float64)
        if not ((values == np.rint(values)) & (np.abs(values) < MOST_PIXELS)).all():
            raise ValueError(f"pixels or polarities that are no whole numbers below {MOST_PIXELS}")
    columns = [microseconds(t, unit), *(np.asarray(column).astype(np.int64).ravel() for column in (x, y, p))]
    if len({len(column) for column in columns}) > 1:
        raise ValueError("columns of different lengths")
    negative = columns[0].size and min(column.min() for column in columns[:3]) < 0
    if negative or not np.isin(columns[3], (-1, 0, 1)).all():
        raise ValueError("negative times or pixels, or a polarity that is not 0, 1 or -1")
    columns[3] = (columns[3] > 0).astype(np.int64)
    order = np.argsort(columns[0], kind="stable")
    return Events(*(column[order] for column in columns))


def _named(names: Sequence[str]) -> tuple[list[int], str]:
    """Where t, x, y and p stand among the names of columns, and the unit of t. Raises ValueError for other names."""
    read = [HEADER.fullmatch(name.strip().lower()) for name in names]
    places = []
    for column in COLUMNS:
        fits = [number for number, match in enumerate(read) if match and match[1] in NAMES[column]]
        if len(fits) != 1:
            raise ValueError(f"columns {', '.join(names)}, of which none or several are {column}")
        places.append(fits[0])
    time = read[places[0]]
    return places, (time[2] or "") if time else ""


def _columns(table: NDArray[Any]) -> list[Any]:
    if table.dtype.names:
        places, unit = _named(table.dtype.names)
        return [*(table[table.dtype.names[place]] for place in places), unit]
    if table.ndim != 2 or table.shape[1] != 4:
        raise ValueError(f"an array of shape {table.shape}")
    _in_order(table)
    return list(table.T)


def _in_order(table: NDArray[Any]) -> None:
    """Raises ValueError where another column than the first looks like time: it alone never steps back."""
    rises = [bool((np.diff(column) >= 0).all()) and len(np.unique(column)) > 2 for column in table.T]
    if len(table) > 2 and not rises[0] and any(rises[1:]) and not _goes_on(table[:, 0]):
        raise ValueError(f"columns of which number {rises.index(True) + 1} looks like the time; name them in a header")


def _goes_on(times: NDArray[Any]) -> bool:
    """Whether these are the times of a counter that began again, and never step back otherwise."""
    try:
        return bool((np.diff(microseconds(times)) >= 0).all())
    except ValueError:
        return False


def _bin(path: Path) -> list[NDArray[Any]]:
    from spikeport_models.datasets.nmnist import read_bin

    events = read_bin(path.read_bytes(), str(path))
    return [events.t, events.x, events.y, events.p]


def _npy(path: Path) -> list[Any]:
    return _columns(reading.npy_file(path))


def _npz(path: Path) -> list[Any]:
    arrays = reading.npz_file(path)
    places, unit = _named(list(arrays))
    return [*(list(arrays.values())[place] for place in places), unit]


def _text(path: Path) -> list[Any]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    names = _header(lines[0]) if lines else []
    rows = [_cells(line) for line in lines[bool(names) :] if not line.startswith("#")]
    if not rows:
        return [np.zeros(0, np.int64)] * 4
    if len({len(row) for row in rows}) > 1:
        raise ValueError("lines of different numbers of columns")
    whole = all(WHOLE.fullmatch(cell) for row in rows for cell in row)
    table = np.asarray(rows, np.int64 if whole else np.float64).reshape(len(rows), -1)
    if not names:
        return _columns(table)
    if table.shape[1] != len(names):
        raise ValueError(f"{table.shape[1]} columns under {len(names)} names")
    places, unit = _named(names)
    return [*(table[:, place] for place in places), unit]


def _cells(line: str) -> list[str]:
    return re.sub("[,;]", " ", line).split()


def _header(line: str) -> list[str]:
    """The names of the columns, where a line has names and no numbers; a remark of other words is none."""
    text = line.lstrip("#").strip()
    cells = [each.strip() for each in re.split("[,;\t]", text)] if re.search("[,;\t]", text) else text.split()
    words = [HEADER.fullmatch(cell.lower()) for cell in cells]
    known = {name for names in NAMES.values() for name in names}
    hits = sum(1 for match in words if match and match[1] in known)
    if line.startswith("#"):
        return cells if hits >= 4 else []
    return cells if not any(re.fullmatch(r"[-+.\deE]+", cell) for cell in cells) else []


def _aedat4(path: Path) -> list[NDArray[Any]]:
    if find_spec("aedat") is None:
        what, mend = ".aedat4 files need the package aedat", "pip install 'spikeport[events]'"
        fail("SP361", what, where=str(path), mend=mend)
    return list(apart.columns(path))


READERS: dict[str, Callable[[Path], list[Any]]] = {
    ".bin": _bin,
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _text,
    ".txt": _text,
    ".aedat4": _aedat4,
}
