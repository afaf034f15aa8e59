"""NIRData, nir 1.0.8's companion of a graph: what nodes put out in a run, on a grid of steps or as events in time.

A file holds groups with an attribute ``__type__``: a NIRGraphData of NIRNodeData (or of further graphs), each with
named observables. TimeGriddedData is ``data`` [B, T, neurons] and ``dt`` in seconds; EventData is ``idx`` and ``time``
[B, events], filled up with -1 and infinity, ``n_neurons`` and ``t_max``; ValuedEventData has a ``value`` for each event
(data_ir/graph.py and serialization.py of nir 1.0.8).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeport.files import write_bytes
from spikeport.findings import Finding, fail, require
from spikeport.formats import heaps
from spikeport.formats.hdf5 import DEEPEST, RATIO, ROOM
from spikeport.formats.nir.file import in_memory
from spikeport.formats.nir.safe_names import safe_names
from spikeport.graph import Array

SAME = 1e-6  #: of a step: an event so near to a step's beginning is in it, whatever k * dt / dt gives


@dataclass(frozen=True)
class Observed:
    """One observable of one node."""

    node: str  #: as it is called in the file, with the graphs around it before dots
    name: str
    values: Array  #: [B, T, neurons]
    shape: tuple[int, ...]  #: of the neurons, where spikeport wrote it; else flat
    findings: tuple[Finding, ...] = ()


def save(path: Path, observables: Mapping[str, Mapping[str, Array]], dt: float) -> None:
    """Write observables [T, B, *neurons], by node and name, as time-gridded data with a step of ``dt`` seconds.

    Nodes have the names that `nir.write` gives them; what they are called here, and the neurons' axes, stand in
    attributes that NIR's reader passes over. Raises SP201 if the file cannot be written.
    """
    require(0 < dt < 1e6, "SP206", f"dt is {dt} seconds", mend="a step takes more than nothing")
    with in_memory() as file:
        file.attrs["__type__"] = "NIRGraphData"
        nodes = file.create_group("nodes")
        for name, safe in safe_names(observables).items():
            node = nodes.create_group(safe)
            node.attrs["__type__"], node.attrs["spikeport_name"] = "NIRNodeData", name
            for observable, values in observables[name].items():
                group = node.create_group(f"observables/{observable}")
                group.attrs["__type__"], group.attrs["dt"] = "TimeGriddedData", dt
                group.attrs["spikeport_shape"] = values.shape[2:]
                grid = np.moveaxis(values, 0, 1).reshape(values.shape[1], values.shape[0], -1)
                group.create_dataset("data", data=grid, compression="gzip", compression_opts=1)
        file.flush()
        image = file.id.get_file_image()
    write_bytes(path, image, "SP201")


def is_data(path: Path) -> bool:
    """Whether a .nir file holds NIRData, and no graph. False for what is no such file at all: its reader says that."""
    try:
        with h5py.File(path, "r") as file:
            return "nodes" in file and "node" not in file
    except OSError:
        return False


def load(path: Path, dt: float | None = None) -> list[Observed]:
    """Every observable of a file. ``dt``: seconds a step, which events need: they are added up step by step.

    Raises SP201 (no such file), SP202 (no NIRData, or damaged), SP207 (claims more than it can hold), SP226 (events,
    and no dt).
    """
    if not path.is_file():
        fail("SP201", "there is no such file", where=str(path), mend="check the path")
    if path.stat().st_size and (problem := heaps.broken(path) or _ending(path)):
        fail("SP202", f"is damaged ({problem})", where=str(path), mend="write it again: nir.write_data")
    try:
        with h5py.File(path, "r") as file:
            reader = _Reader(path, ROOM + RATIO * path.stat().st_size, dt)
            if "__type__" not in file.attrs or reader.fact(file, "__type__") != "NIRGraphData":
                mend = "nir.write_data writes NIRData; a NIR graph is a model: spikeport simulate runs it"
                fail("SP202", "holds no NIRData", where=str(path), mend=mend)
            return list(reader.graph(file, "", 0))
    except (OSError, KeyError, ValueError, TypeError, OverflowError, AttributeError, RuntimeError) as error:
        what = f"is no NIRData, or damaged ({str(error).splitlines()[0][:200] if str(error) else type(error).__name__})"
        fail("SP202", what, where=str(path), mend="write it again: nir.write_data")


#: reads all that `load` reads, in a process that may end on it
PROBE = f"""
import sys, h5py
def read(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset) and item.size * item.dtype.itemsize < {ROOM}:
        item[()]
with h5py.File(sys.argv[1], "r") as file:
    read("", file)
    file.visititems(read)
"""
SECONDS = 60  #: in which a file is read that can be read


def _ending(path: Path) -> str:
    """How libhdf5 ends on a file whose damage it does not notice: a signal or no end; nothing where it ends well.

    libhdf5 1.14 reads attributes beyond their ends; about one in a thousand damaged files ends the process.
    """
    try:
        command = [sys.executable, "-c", PROBE, str(path.absolute())]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"libhdf5 does not come back from it within {SECONDS} s"
    return f"libhdf5 ends on it, by signal {-done.returncode}" if done.returncode < 0 else ""


@dataclass
class _Reader:
    path: Path
    left: int  #: bytes that may still be claimed
    dt: float | None

    def graph(self, group: Any, prefix: str, depth: int) -> Iterator[Observed]:
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} graphs within each other")
        for name, node in self._groups(self._own(group, "nodes", h5py.Group)):
            kind = self.fact(node, "__type__")
            if kind == "NIRGraphData":
                yield from self.graph(node, f"{prefix}{name}.", depth + 1)
            elif kind == "NIRNodeData":
                known = str(self.fact(node, "spikeport_name", name))
                for observable, values in self._groups(self._own(node, "observables", h5py.Group)):
                    yield self._observed(prefix + known, observable, values)
            else:
                raise ValueError(f"a node of the type {kind!r}")

    def _groups(self, group: Any) -> Iterator[tuple[str, Any]]:
        for name in group:
            yield name, self._own(group, name, h5py.Group)

    def _own(self, group: Any, name: str, kind: type) -> Any:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink) or not isinstance(group[name], kind):
            raise ValueError(f"{name} is no {kind.__name__.lower()} of the file's own")
        return group[name]

    def _observed(self, node: str, name: str, group: Any) -> Observed:
        kind = self.fact(group, "__type__")
        if kind == "TimeGriddedData":
            values = self._array(group, "data", 3)
            shape = tuple(int(n) for n in np.atleast_1d(self.fact(group, "spikeport_shape", values.shape[2:])))
            if int(np.prod(shape, dtype=np.int64)) != values.shape[2]:
                raise ValueError(f"{values.shape[2]} neurons of shape {shape}")
            return Observed(node, name, values, shape)
        if kind not in ("EventData", "ValuedEventData"):
            raise ValueError(f"an observable of the type {kind!r}")
        values, collisions = self._grid(group, valued=kind == "ValuedEventData")
        what = f"events of {name!r} were added up in steps of {self.dt:g} s; {collisions} came to one that had some"
        said = Finding("SP226", what, f"{self.path}, {node}", mend="--dt is the length of a step", severity="note")
        return Observed(node, name, values, values.shape[2:], (said,))

    def _grid(self, group: Any, *, valued: bool) -> tuple[Array, int]:
        if self.dt is None:
            mend = "say it, in seconds: --dt 1e-3"
            fail("SP226", "holds events at times; how long a step is, nobody says", where=str(self.path), mend=mend)
        index, time = self._array(group, "idx", 2), self._array(group, "time", 2)
        value = self._array(group, "value", 2) if valued else np.ones(index.shape)
        if not index.shape == time.shape == value.shape:
            raise ValueError("idx, time and value are of different shapes")
        steps = int(np.ceil(float(self.fact(group, "t_max")) / self.dt - SAME))
        neurons = int(self.fact(group, "n_neurons"))
        self._claim(8 * len(index) * max(steps, 0) * max(neurons, 0), "the grid of its events")
        sample, place = np.nonzero(index != -1)
        step = np.floor(time[sample, place] / self.dt + SAME)
        neuron = index[sample, place]
        if not (((step >= 0) & (step < steps)).all() and ((neuron >= 0) & (neuron < neurons)).all()):
            raise ValueError(f"events outside of {steps} steps and {neurons} neurons")
        grid, counts = np.zeros((len(index), steps, neurons)), np.zeros((len(index), steps, neurons), np.int64)
        at = (sample, step.astype(np.int64), neuron.astype(np.int64))
        np.add.at(grid, at, value[sample, place])
        np.add.at(counts, at, 1)
        return grid, int(np.maximum(counts - 1, 0).sum())

    def fact(self, item: Any, name: str, default: Any = None) -> Any:
        """An attribute, which may be of any size. Raises KeyError where there is neither it nor a ``default``."""
        if default is not None and name not in item.attrs:
            return default
        about = item.attrs.get_id(name)
        self._claim(int(np.prod(about.shape or (1,), dtype=object)) * about.dtype.itemsize, name)
        return item.attrs[name]

    def _array(self, group: Any, name: str, axes: int) -> Array:
        item = self._own(group, name, h5py.Dataset)
        if item.is_virtual or item.external or item.ndim != axes:
            raise ValueError(f"{name} is no array of {axes} axes of the file's own")
        if item.dtype.kind not in "biuf":
            raise ValueError(f"{name} holds {item.dtype}")
        self._claim(item.size * item.dtype.itemsize, item.name)
        return np.asarray(item[()], item.dtype.newbyteorder("="))

    def _claim(self, size: int, what: str) -> None:
        self.left -= size
        if self.left < 0:
            mend = "the file is damaged or not to be trusted"
            fail("SP207", f"{what} claims more than a file of this size can hold", where=str(self.path), mend=mend)
