"""HDF5 in and out: a tree of groups and values, written in one move and read with every claim checked first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeport.files import write_bytes
from spikeport.findings import fail
from spikeport.formats.nir import heaps
from spikeport.graph import Array

NIR_VERSION = "1.0.8"  #: the version of NIR whose vocabulary we write
ROOM = 256 * 2**20  #: bytes that a file may claim whatever its size
RATIO = 16  #: bytes that a file may claim for each byte it has; repeated parameters compress this well
DEEPEST = 24  #: groups within groups
MOST = 100_000  #: groups and values in one file
LONGEST_AXIS = 32  #: axes of an array

Tree = dict[str, Any]  #: text, whole numbers, arrays, `Filled`, `Packed`, or trees


@dataclass(frozen=True)
class Filled:
    """An array of one value: stored as that value alone (HDF5's fill value), read by everyone as the whole array."""

    shape: tuple[int, ...]
    value: Array  #: []


@dataclass(frozen=True)
class Packed:
    """An array that is worth compressing."""

    array: Array


def equal_or(array: Array) -> Array | Filled | Packed:
    """The array, its one value where all are the same to the bit, or to be compressed where it repeats itself."""
    if array.size <= 16:
        return np.array(array)
    if any(step == 0 and n > 1 for step, n in zip(array.strides, array.shape, strict=True)):
        once = array[tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)]
        if once.size == 1:
            return Filled(array.shape, once.reshape(()))
        return Packed(array)
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")
    return Filled(array.shape, array.reshape(-1)[0]) if bool((bits == bits[0]).all()) else array


def save(tree: Mapping[str, Any], path: Path) -> None:
    """Write the tree under the group ``node``, beside NIR's version. Nothing is left where writing fails."""
    with in_memory() as file:
        file.create_dataset("version", data=NIR_VERSION, dtype=h5py.string_dtype())
        _write(file.create_group("node"), tree)
        file.flush()
        image = file.id.get_file_image()
    write_bytes(path, image, "SP201")


def in_memory() -> h5py.File:
    """An HDF5 file that is nowhere yet: where a disk takes no more, libhdf5 ends the process."""
    return h5py.File("in memory", "w", driver="core", backing_store=False, libver="earliest")


def _write(group: Any, tree: Mapping[str, Any]) -> None:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            _write(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, data=value, dtype=h5py.string_dtype())
        elif isinstance(value, Filled):
            group.create_dataset(name, value.shape, value.value.dtype, chunks=True, fillvalue=value.value[()])
        elif isinstance(value, Packed):
            group.create_dataset(name, data=value.array, compression="gzip", compression_opts=1, shuffle=True)
        elif isinstance(value, list):  # edges
            table = np.array(value, dtype=object).reshape(-1, 2)
            group.create_dataset(name, data=table, dtype=h5py.string_dtype())
        else:
            group.create_dataset(name, data=value)


def load(path: Path) -> Tree:
    """Everything under ``node``: text as str, numbers and arrays as read-only arrays, groups as trees.

    Raises SP201 where there is no such file or it is not HDF5, SP202 where it is damaged or not NIR, SP207 where it
    claims more than it can hold.
    """
    if not path.is_file():
        fail("SP201", "is a folder" if path.is_dir() else "there is no such file", where=str(path))
    size = path.stat().st_size
    if size and (problem := heaps.broken(path)):
        fail("SP202", f"is damaged ({problem})", where=str(path), mend="copy or export it again")
    try:
        with h5py.File(path, "r") as file:
            if "node" not in file or not isinstance(file["node"], h5py.Group):
                fail("SP202", "is an HDF5 file, but holds no NIR graph (there is no group 'node')", where=str(path))
            return _Reader(path, ROOM + RATIO * size).tree(file["node"], 0)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError, OverflowError) as error:
        with path.open("rb") as raw:
            head = raw.read(8)
        if head != b"\x89HDF\r\n\x1a\n":
            what = "is empty" if size == 0 else "is not a NIR file (it does not begin as HDF5 does)"
            fail("SP201", what, where=str(path), mend="is the path right? a NIR file comes from spikeport export")
        fail("SP202", f"is damaged or cut short ({_line(error)})", where=str(path), mend="copy or export it again")


@dataclass
class _Reader:
    path: Path
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
                    mend="a NIR file holds all its data itself",
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
                mend="a NIR file holds all its data itself",
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
