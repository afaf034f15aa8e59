"""Which neurons fire when: one sample's spikes of a layer, in as many rows as can be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikeport.graph import Array
from spikeport.record import Record
from spikeport.spike_train import Train

ROWS = 128  #: of a raster; where a layer has more neurons, neighbours share a row

Shares = NDArray[np.float64]  #: [rows, T], between 0 and 1


@dataclass(frozen=True)
class Raster:
    """One sample's spikes of one layer, of one run or two; a row stands for ``a_row`` neurons, the last for fewer.

    Where neurons fire several times in a step, a share is one of the ``most`` spikes that a neuron fires in any.
    """

    layer: str
    neurons: int
    a_row: int
    most: int  #: spikes of a neuron in a step, in either run; at least 1
    fires: Shares  #: of what a row's neurons could fire, in both runs where there are two
    only_a: Shares  #: share of a row's neurons that fire in A only, or more often there
    only_b: Shares

    @property
    def steps(self) -> int:
        """Timesteps."""
        return int(self.fires.shape[1])

    @property
    def scale(self) -> str:
        """What the darkest cell stands for, where neurons fire several times in a step."""
        return "" if self.most == 1 else f", black: {self.most} in a step"

    @property
    def axis(self) -> str:
        """What its rows are, in words."""
        return "neuron" if self.a_row == 1 else f"neuron ({self.a_row} a row)"


def raster(layer: str, a: Train, b: Train | None, sample: int, rows: int = ROWS) -> Raster:
    """The spikes of one sample, those of two runs of one shape told apart."""
    x = _of(a, sample)
    y = x if b is None else _of(b, sample)
    a_row = -(-x.shape[1] // rows)
    most = max(1, int(x.max(initial=0)), int(y.max(initial=0)))
    both = _shared(np.minimum(x, y), a_row) / most
    return Raster(layer, x.shape[1], a_row, most, both, _shared(x > y, a_row), _shared(y > x, a_row))


def sample_of(train: Train, sample: int) -> Train:
    """The train of one sample alone, with its axis."""
    return train.cut(sample, sample + 1)


def comparable(a: Record, b: Record | None, layer: str) -> Train | None:
    """B's train of a layer, where it can be held against A's."""
    theirs = None if b is None else b.trains.get(layer)
    return theirs if theirs is not None and theirs.shape == a.trains[layer].shape else None


def _of(train: Train, sample: int) -> Array:
    """[T, neurons]: how often each fires, bool where that is once at most."""
    return sample_of(train, sample).unpack().reshape(train.shape[0], -1)


def _shared(spikes: Array, a_row: int) -> Shares:
    """[T, neurons] as the mean over each row's neurons, [rows, T]."""
    starts = np.arange(0, spikes.shape[1], a_row)
    sizes = np.diff([*starts, spikes.shape[1]])
    return np.asarray(np.add.reduceat(spikes, starts, axis=1, dtype=np.float64) / sizes).T
