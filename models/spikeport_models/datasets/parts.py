"""Stratified parts of a data set, the same on every machine."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val", "test"]

SEED = 2025  #: of every split; the seed of training is another one


def stratified(labels: NDArray[np.int64], share: float, seed: int = SEED) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of two parts, the second with ``share`` of each class; both in ascending order."""
    from sklearn.model_selection import train_test_split

    first, second = train_test_split(np.arange(len(labels)), test_size=share, stratify=labels, random_state=seed)
    return np.sort(first), np.sort(second)
