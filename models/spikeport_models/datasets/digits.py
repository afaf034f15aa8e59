"""Handwritten digits, 8x8, 1797 samples: they ship with scikit-learn (UCI, E. Alpaydin and C. Kaynak, 1998)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.datasets import Arrays, Source, Split
from spikeport.findings import require
from spikeport_models.datasets.parts import indices_of


def digits(split: Split, folder: Path | None = None) -> Arrays:
    """x [N, 1, 8, 8] in exact sixteenths between 0 and 1. 80/20 stratified; a tenth of the 80 % is for validation.

    Raises SP361 for a ``folder``: the data come with the package.
    """
    require(
        folder is None, "SP361", "comes with scikit-learn, not in a folder", where="digits", mend="leave folder out"
    )
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (bunch.images / 16).astype(np.float32)[:, None]
    y = bunch.target.astype(np.int64)
    chosen = indices_of(y, split, test=0.2)
    return x[chosen], y[chosen]


SOURCE = Source(digits, 10, status=lambda: "ships with scikit-learn")
