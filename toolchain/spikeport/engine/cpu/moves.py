"""Rows copied, filled and added as plain loops, which other loops use.

Written as slices are, numba compiles for each kind of row what numpy does for all: shapes that differ, and the words of
the errors then. That took as long as the loops themselves.
"""

from __future__ import annotations

from typing import Any

from spikeport.machine import part


@part
def copy(row: Any, out: Any) -> None:
    """``out[: len(row)] = row``."""
    for i in range(len(row)):
        out[i] = row[i]


@part
def fill(row: Any, value: Any) -> None:
    """``row[:] = value``."""
    for i in range(len(row)):
        row[i] = value
