"""A Record as NIRData: the spikes and membranes of its layers, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spikeport.findings import require
from spikeport.formats.nir import data
from spikeport.graph import Array
from spikeport.record import Record, Train

SPIKES, VOLTAGES = "spikes", "voltages"  #: observables, in the words of NIR's documents


def save(record: Record, path: Path, dt: float) -> None:
    """Write what a record has of each layer, in steps of ``dt`` seconds. Raises SP201 where it cannot be written."""
    observables: dict[str, dict[str, Array]] = {name: {} for name in {**record.trains, **record.membranes}}
    for name, train in record.trains.items():
        observables[name][SPIKES] = train.unpack()
    for name, values in record.membranes.items():
        observables[name][VOLTAGES] = values
    data.save(path, observables, dt)


def load(path: Path) -> dict[str, Any]:
    """The fields of a Record: outputs are [B, 0], which NIRData has not.

    Raises SP120 where no layer has spikes, and what `data.load` raises.
    """
    arrays: dict[str, dict[str, Array]] = {SPIKES: {}, VOLTAGES: {}}
    for each in data.load(path):
        values = np.moveaxis(each.values, 1, 0)
        arrays.setdefault(each.name, {})[each.node] = values.reshape(*values.shape[:2], *each.shape)
    spikes = arrays[SPIKES]
    require(bool(spikes), "SP120", "holds no spikes", where=str(path), mend="a Record needs some layer's spikes")
    return {
        "target": "nir",
        "outputs": np.zeros((next(iter(spikes.values())).shape[1], 0)),
        "neurons": {name: int(np.prod(value.shape[2:], dtype=np.int64)) for name, value in spikes.items()},
        "spike_counts": {
            name: np.count_nonzero(value.reshape(len(value), -1), axis=1) for name, value in spikes.items()
        },
        "trains": {name: Train.pack(value != 0) for name, value in spikes.items()},
        "membranes": arrays[VOLTAGES],
    }
