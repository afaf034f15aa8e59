"""HDF5 in and out: a tree of groups and values, written in one move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeport.files import write_bytes
from spikeport.formats import hdf5
from spikeport.graph import Array

NIR_VERSION = "1.0.8"  #: the version of NIR whose vocabulary we write

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
    """Everything under ``node``, as `hdf5.load` reads it, which says what it raises."""
    tree: Tree = hdf5.load(path, "NIR", "node")["node"]
    return tree
