"""Handwritten digits, 8x8, 1797 samples: they ship with scikit-learn (UCI, E. Alpaydin and C. Kaynak, 1998)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikeport_models.datasets.parts import Split, stratified


def digits(split: Split, folder: Path | None = None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """x [N, 1, 8, 8] in exact sixteenths between 0 and 1. 80/20 stratified; a tenth of the 80 % is for validation.

    ``folder`` is not used: the data come with the package.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (bunch.images / 16).astype(np.float32)[:, None]
    y = bunch.target.astype(np.int64)
    rest, test = stratified(y, 0.2)
    train, val = stratified(y[rest], 0.1)
    chosen = {"train": rest[train], "val": rest[val], "test": test}[split]
    return x[chosen], y[chosen]
