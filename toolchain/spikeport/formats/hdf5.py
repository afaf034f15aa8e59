"""HDF5 files that others wrote, read with every claim checked first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeport.findings import fail
from spikeport.formats import heaps

ROOM = 256 * 2**20  #: bytes that a file may claim whatever its size
RATIO = 16  #: bytes that a file may claim for each byte it has; repeated parameters compress this well
DEEPEST = 24  #: groups within groups
MOST = 100_000  #: groups and values in one file
LONGEST_AXIS = 32  #: axes of an array

Tree = dict[str, Any]  #: text, arrays, or trees


def load(path: Path, kind: str, group: str, *others: str) -> Tree:
    """What stands under ``group`` of a file of some ``kind``, and under ``others`` where there are such groups.

    Text as str, numbers and arrays as read-only arrays, groups as trees.

    Raises SP201 where there is no such file or it is not HDF5, SP202 where it is damaged or has no such group, SP207
    where it claims more than it can hold.
    """
    if not path.is_file():
        fail("SP201", "is a folder" if path.is_dir() else "there is no such file", where=str(path))
    size = path.stat().st_size
    if size and (problem := heaps.broken(path)):
        fail("SP202", f"is damaged ({problem})", where=str(path), mend="copy or export it again")
    try:
        with h5py.File(path, "r") as file:
            if group not in file or not isinstance(file[group], h5py.Group):
                what = f"is an HDF5 file, but holds no {kind} network (there is no group {group!r})"
                fail("SP202", what, where=str(path))
            reader = _Reader(path, kind, ROOM + RATIO * size)
            there = (group, *(other for other in others if isinstance(file.get(other), h5py.Group)))
            return {name: reader.tree(file[name], 0) for name in there}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError, OverflowError) as error:
        with path.open("rb") as raw:
            head = raw.read(8)
        if head != b"\x89HDF\r\n\x1a\n":
            what = "is empty" if size == 0 else f"is not a {kind} file (it does not begin as HDF5 does)"
            fail("SP201", what, where=str(path), mend=f"is the path right? does it come from {kind}'s export?")
        fail("SP202", f"is damaged or cut short ({_line(error)})", where=str(path), mend="copy or export it again")


@dataclass
class _Reader:
    path: Path
    kind: str  #: of file
    left: int  #: bytes that may still be claimed
    count: int = 0

    def tree(self, group: Any, depth: int) -> Tree:
        if depth > DEEPEST:
            fail("SP202", f"nests more than {DEEPEST} groups", where=str(self.path))
        tree: Tree = {}
        for name in group:
            self.count += 1
            if self.count > MOST:
                fail("SP202", f"holds more than {MOST} entries", where=str(self.path))
            if isinstance(name, bytes):  # h5py's, where they are no UTF-8
                fail("SP202", f"{group.name} holds a name that is no text: {name[:60]!r}", where=str(self.path))
            key = name.encode("utf-8", "surrogateescape")
            if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
                fail(
                    "SP202",
                    f"{group.name}/{name} is a link to somewhere else",
                    where=str(self.path),
                    mend=f"a {self.kind} file holds all its data itself",
                )
            item = h5py.h5o.open(group.id, key)
            if isinstance(item, h5py.h5g.GroupID):
                tree[name] = self.tree(h5py.Group(item), depth + 1)
            elif isinstance(item, h5py.h5d.DatasetID):
                tree[name] = self.value(h5py.Dataset(item))
            else:
                fail("SP202", f"{group.name}/{name} is neither group nor array", where=str(self.path))
        return tree

    def value(self, item: Any) -> Any:
        if item.is_virtual or item.external:
            fail(
                "SP202",
                f"{item.name} keeps its data in another file",
                where=str(self.path),
                mend=f"a {self.kind} file holds all its data itself",
            )
        if item.shape is None or len(item.shape) > LONGEST_AXIS:
            fail("SP202", f"{item.name} holds no array", where=str(self.path))
        text = h5py.check_string_dtype(item.dtype) is not None
        if not text and item.dtype.kind not in "biuf":
            fail("SP202", f"{item.name} holds {item.dtype}, not numbers or text", where=str(self.path))
        native = item.dtype if text else _native(item.dtype)
        constant = not text and item.chunks is not None and item.id.get_storage_size() == 0
        self._claim(item, item.size * item.dtype.itemsize)
        if constant:
            value = np.asarray(item.fillvalue, dtype=native)
            return np.broadcast_to(value, item.shape)
        value = item[()]
        return _text(value) if text else np.asarray(value, native)

    def _claim(self, item: Any, size: int) -> None:
        self.left -= size
        if self.left < 0:
            fail(
                "SP207",
                f"{item.name} claims {item.shape} values of {item.dtype}, more than a file of this size can hold",
                where=str(self.path),
                why="reading it would fill the memory.",
                mend="the file is damaged or not to be trusted",
            )


def _native(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The type in this machine's byte order, floats wider than float64 as that."""
    return np.dtype(np.float64) if kind.kind == "f" and kind.itemsize > 8 else kind.newbyteorder("=")


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    flat = value.reshape(-1).tolist()
    texts = {item: item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in set(flat)}
    return np.array([texts[item] for item in flat], dtype=object).reshape(value.shape)  # each name is kept once


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
