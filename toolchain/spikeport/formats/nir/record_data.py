"""A Record as NIRData: the spikes and membranes of its layers, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spikeport.findings import fail, require
from spikeport.formats.nir import data
from spikeport.formats.nir.safe_names import safe_names
from spikeport.graph import Array
from spikeport.record import Record
from spikeport.spike_train import Train

T = TypeVar("T")
Shape = tuple[int, ...]

SPIKES, VOLTAGES = "spikes", "voltages"  #: observables, in the words of NIR's documents
MOST = 2**31  #: spikes of one neuron in one step that a count of a run has room for


def save(record: Record, path: Path, dt: float) -> None:
    """Write what a record has of each layer, in steps of ``dt`` seconds. Raises SP201 where it cannot be written."""
    observables: dict[str, dict[str, Array]] = {name: {} for name in {**record.trains, **record.membranes}}
    for name, train in record.trains.items():
        observables[name][SPIKES] = train.unpack()
    for name, values in record.membranes.items():
        observables[name][VOLTAGES] = values
    data.save(path, observables, dt)


def load(path: Path, dt: float | None = None) -> dict[str, Any]:
    """The fields of a Record: outputs are [B, 0], which NIRData has not. ``dt``: seconds a step, which events need.

    Spikes are numbers: how often a neuron fired in a step. Raises SP120 where no layer has spikes, or where they are no
    such numbers, and what `data.load` raises.
    """
    arrays: dict[str, dict[str, Array]] = {SPIKES: {}, VOLTAGES: {}}
    observed = data.load(path, dt)
    for each in observed:
        values = np.moveaxis(each.values, 1, 0)
        arrays.setdefault(each.name, {})[each.node] = values.reshape(*values.shape[:2], *each.shape)
    require(
        bool(arrays[SPIKES]), "SP120", "holds no spikes", where=str(path), mend="a Record needs some layer's spikes"
    )
    trains = {name: _train(values, f"{path}, {name}") for name, values in arrays[SPIKES].items()}
    return {
        "target": "nir",
        "outputs": np.zeros((next(iter(trains.values())).shape[1], 0)),
        "neurons": {name: int(np.prod(train.shape[2:], dtype=np.int64)) for name, train in trains.items()},
        "spike_counts": {name: train.counts() for name, train in trains.items()},
        "trains": trains,
        "membranes": arrays[VOLTAGES],
        "findings": tuple(finding for each in observed for finding in each.findings),
    }


def with_layers(record: Record, layers: Mapping[str, Shape]) -> Record:
    """Another tool's NIRData under the names and shapes of a network's ``layers``, as far as they can be told.

    Neurons of NIRData are flat, in C order, and its nodes have the names of the NIR file that was run: `safe_names`.
    """
    own = {safe: name for name, safe in safe_names(layers).items()}

    def named(arrays: Mapping[str, T], shaped: Callable[[T, Shape], T]) -> dict[str, T]:
        known = {name if name in layers else own.get(name, name): value for name, value in arrays.items()}
        return {name: shaped(value, layers.get(name, ())) for name, value in known.items()}

    def train(one: Train, shape: Shape) -> Train:
        return one if not _flat(one.shape, shape) else Train.pack(one.unpack().reshape(*one.shape[:2], *shape))

    def grid(one: Array, shape: Shape) -> Array:
        return one.reshape(*one.shape[:2], *shape) if _flat(one.shape, shape) else one

    trains = named(record.trains, train)
    return replace(
        record,
        trains=trains,
        neurons=named(record.neurons, lambda count, _: count),
        spike_counts=named(record.spike_counts, lambda counts, _: counts),
        membranes=named(record.membranes, grid),
    )


def _flat(values: Shape, layer: Shape) -> bool:
    """Whether values [T, B, neurons] are those of a layer."""
    return len(values) == 3 and values[2] == math.prod(layer) and values[2:] != layer


def _train(values: Array, where: str) -> Train:
    """How often each neuron fired [T, B, *neurons]. Raises SP120 where a value is no such number."""
    numbers = (values >= 0) & (values < MOST) & (values == np.floor(values))
    if not numbers.all():
        what = f"spikes of {values[~numbers][0]:g}, which is not how often a neuron fires in a step"
        fail("SP120", what, where=where, mend="call currents and membranes otherwise: spikes are counts from 0 on")
    return Train.pack(values.astype(np.int64))
