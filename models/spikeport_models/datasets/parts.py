"""Stratified parts of a data set, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeport.datasets import Split
from spikeport.findings import fail
from spikeport.reading import line

SEED = 2025  #: of every split; the seed of training is another one


def stratified(labels: NDArray[np.int64], share: float, seed: int = SEED) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of two parts, the second with ``share`` of each class; both in ascending order.

    Raises SP362 for too few samples.
    """
    from sklearn.model_selection import train_test_split

    try:
        first, second = train_test_split(np.arange(len(labels)), test_size=share, stratify=labels, random_state=seed)
    except ValueError as error:
        what = f"{len(labels)} samples of {len(np.unique(labels))} classes cannot be split in parts of each class"
        fail("SP362", what, why=f"{line(error)}.", mend="bring several samples of each class")
    return np.sort(first), np.sort(second)


def indices_of(labels: NDArray[np.int64], split: Split, *, test: float = 0.0, val: float = 0.1) -> NDArray[np.intp]:
    """Indices of one split, in ascending order: a stratified share for the test, and one of the rest for validation.

    ``test`` is 0 where the data have a test part of their own: these samples then are for train and val alone.
    """
    rest = outside = np.arange(len(labels))
    if test:
        rest, outside = stratified(labels, test)
    inside, between = stratified(labels[rest], val)
    return {"train": rest[inside], "val": rest[between], "test": outside}[split]
