"""The numbers of a .net file: floats that are meant to be whole, and what netx makes of them where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Never

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.graph import Array

WEIGHTS = (-256, 254)  #: of a matrix with both signs, beyond which netx cuts (`netx/utils.py`, `optimize_weight_bits`)
LONGEST = 62  #: steps of a delay, at which netx cuts (`netx/hdf5.py`, `create_dense`)
MANTISSA = (-128, 127)
EXPONENTS = range(8)  #: of a weight


@dataclass
class Fields:
    """The values of one layer or of its neurons, by name, and what was done to them."""

    values: Mapping[str, Any]
    where: str  #: the file and the layer
    notes: list[Finding] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        """A word, which older exporters keep in an array of one. Raises SP202."""
        value = self.values.get(name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size == 1:
            value = value.reshape(-1)[0]
        if not isinstance(value, str):
            self.damaged(f"{name} is missing, or no word")
        return value

    def fields(self, name: str) -> Fields:
        """A group within. Raises SP202."""
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            self.damaged(f"there is no group {name!r}")
        return Fields(value, self.where, self.notes)

    def whole(self, name: str, default: int | None = None) -> Array:
        """Whole numbers, int64; what lies behind a point is left out, as netx does (SP228). Raises SP202."""
        value = self.values.get(name, default)
        if value is None or isinstance(value, str | Mapping):
            self.damaged(f"{name} is missing, or no numbers")
        array = np.asarray(value)
        with np.errstate(invalid="ignore"):  # of what is no number
            small = array.dtype.kind in "biuf" and bool((abs(array.astype(np.float64)) < 2**31).all())
        if array.size == 0 or not small:
            self.damaged(f"{name} holds no whole numbers within 32 bits")
        kept = array.astype(np.int64)  # towards zero
        if changed := int(np.count_nonzero(kept != array)):
            self.changed(f"{changed} values of {name} are no whole numbers: what lies behind the point was left out")
        return kept

    def one(self, name: str, default: int | None = None) -> int:
        """One whole number, alone or in an array of one. Raises SP202."""
        value = self.whole(name, default)
        if value.size != 1:
            self.damaged(f"{name} holds {value.size} numbers, not one")
        return int(value.reshape(-1)[0])

    def shape(self) -> tuple[int, ...]:
        """The whole numbers of ``shape``. Raises SP202."""
        return tuple(map(int, self.whole("shape").reshape(-1)))

    def two(self, name: str) -> tuple[int, int]:
        """Two whole numbers, of rows and columns, or one for both. Raises SP202."""
        value = self.whole(name)
        if value.size not in (1, 2):
            self.damaged(f"{name} holds {value.size} numbers, not two")
        rows, columns = (int(each) for each in np.broadcast_to(value.reshape(-1), 2))
        return rows, columns

    def cut(self, name: str, value: Array, low: int, high: int) -> Array:
        """Values within bounds, as netx cuts them (SP228)."""
        kept = np.clip(value, low, high)
        if changed := int(np.count_nonzero(kept != value)):
            self.changed(f"{changed} values of {name} lie beyond {low} … {high} and were cut to it")
        return kept

    def mantissas(self, weight: Array) -> tuple[Array, int]:
        """Weights as int8 mantissas and their exponent, exactly. Raises SP227 where they are finer than 8 bits."""
        for exponent in EXPONENTS:
            kept = weight >> exponent
            if bool((kept << exponent != weight).any()):
                break
            if kept.min() >= MANTISSA[0] and kept.max() <= MANTISSA[1]:
                return kept.astype(np.int8), exponent
        spread = f"weights between {weight.min()} and {weight.max()} are finer than 8 bits with a sign"
        self.refused(spread, mend="train with SLAYER's quantisation in 8 bits (weights in steps of 2)")

    def changed(self, what: str) -> None:
        """Tell it as SP228."""
        self.notes.append(Finding("SP228", f"{what}, as netx does", self.where, severity="substituted"))

    def damaged(self, what: str) -> Never:
        """Raises SP202."""
        fail("SP202", what, where=self.where, mend="export it again")

    def refused(self, what: str, why: str = "", mend: str = "") -> Never:
        """Raises SP227."""
        fail("SP227", what, where=self.where, why=why, mend=mend)
