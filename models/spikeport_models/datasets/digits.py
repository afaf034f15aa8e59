"""Handwritten digits, 8x8, 1797 samples: they ship with scikit-learn (UCI, E. Alpaydin and C. Kaynak, 1998)."""

from __future__ import annotations

import gzip
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

from spikeport.datasets import Arrays, Source, Split
from spikeport.findings import require
from spikeport_models.datasets.parts import indices_of

FILE = "sklearn/datasets/data/digits.csv.gz"  #: 64 pixels, 0 to 16, and the class; read as it lies, for to import
#: scikit-learn takes a second


def digits(split: Split, folder: Path | None = None) -> Arrays:
    """x [N, 1, 8, 8] in exact sixteenths between 0 and 1. 80/20 stratified; a tenth of the 80 % is for validation.

    Raises SP361 for a ``folder``: the data come with the package.
    """
    require(
        folder is None, "SP361", "comes with scikit-learn, not in a folder", where="digits", mend="leave folder out"
    )
    with gzip.open(str(distribution("scikit-learn").locate_file(FILE)), "rt") as file:
        rows = np.loadtxt(file, np.int64, delimiter=",")
    x, y = (rows[:, :-1] / 16).astype(np.float32).reshape(-1, 1, 8, 8), rows[:, -1]
    chosen = indices_of(y, split, test=0.2)
    return x[chosen], y[chosen]


SOURCE = Source(digits, 10, status=lambda: "ships with scikit-learn")
