"""Files of events: N-MNIST's .bin, numpy's .npy and .npz, text, and .aedat4 through the package aedat (MIT)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport_models.datasets.events import Events

COLUMNS = ("t", "x", "y", "p")  #: microseconds, column, row, polarity


def read_events(path: Path) -> Events:
    """The events of one file, in the order of time. Raises SP362 for anything else, SP361 where aedat is missing.

    .bin: as N-MNIST. .npy: records with the fields t, x, y, p, or [events, 4] in this order. .npz: arrays t, x, y, p.
    .csv, .txt: a line an event, in this order, separated by commas or blanks; lines starting with # are left out.
    .aedat4: the stream of events with the lowest number.
    """
    reader = READERS.get(path.suffix)
    if reader is None:
        fail(
            "SP362", "is no file of events that spikeport reads", where=str(path), mend=f"it reads {', '.join(READERS)}"
        )
    try:
        return sorted_events(*reader(path))
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        fail("SP362", f"holds no events ({error})", where=str(path), mend="columns are t, x, y, p")


def sorted_events(t: Any, x: Any, y: Any, p: Any) -> Events:
    """Events from four columns; polarities are 0 and 1, or -1 and 1."""
    columns = [np.asarray(column).astype(np.int64).ravel() for column in (t, x, y, p)]
    if len({len(column) for column in columns}) > 1:
        raise ValueError("columns of different lengths")
    negative = columns[0].size and min(column.min() for column in columns[:3]) < 0
    if negative or not np.isin(columns[3], (-1, 0, 1)).all():
        raise ValueError("negative times or pixels, or a polarity that is not 0, 1 or -1")
    columns[3] = (columns[3] > 0).astype(np.int64)
    order = np.argsort(columns[0], kind="stable")
    return Events(*(column[order] for column in columns))


def _columns(table: NDArray[Any]) -> list[NDArray[Any]]:
    if table.dtype.names:
        return [table[name] for name in COLUMNS]
    if table.ndim != 2 or table.shape[1] != 4:
        raise ValueError(f"an array of shape {table.shape}")
    return list(table.T)


def _bin(path: Path) -> list[NDArray[Any]]:
    from spikeport_models.datasets.nmnist import read_bin

    events = read_bin(path.read_bytes(), str(path))
    return [events.t, events.x, events.y, events.p]


def _npy(path: Path) -> list[NDArray[Any]]:
    return _columns(np.load(path, allow_pickle=False))


def _npz(path: Path) -> list[NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in COLUMNS]


def _text(path: Path) -> list[NDArray[Any]]:
    text = path.read_text(encoding="utf-8").replace(",", " ")
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return _columns(np.asarray(rows, np.int64).reshape(-1, 4)) if rows else [np.zeros(0)] * 4


def _aedat4(path: Path) -> list[NDArray[Any]]:
    try:
        from aedat import Decoder
    except ImportError as error:
        fail(
            "SP361",
            f".aedat4 files need the package aedat ({error})",
            where=str(path),
            mend="pip install 'spikeport[events]'",
        )
    try:
        decoder = Decoder(str(path))
        streams = sorted(number for number, stream in decoder.id_to_stream().items() if stream["type"] == "events")
        if not streams:
            raise ValueError("no stream of events")
        packets = [packet["events"] for packet in decoder if packet["stream_id"] == streams[0]]
    except RuntimeError as error:  # what the decoder raises for a file that is damaged or none
        raise ValueError(str(error)) from error
    return [np.concatenate([packet[name] for packet in packets] or [[]]) for name in ("t", "x", "y", "on")]


READERS: dict[str, Callable[[Path], list[NDArray[Any]]]] = {
    ".bin": _bin,
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _text,
    ".txt": _text,
    ".aedat4": _aedat4,
}
