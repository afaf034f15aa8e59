"""Rows copied and filled by the system's own functions, which other loops use.

Written as slices are, numba compiles for each kind of row what numpy does for all: shapes that differ, and the words of
the errors then. A plain loop becomes four, for vectors and what is left over. Either takes as long as the loops around.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils

from spikeport.machine.llvm import intrinsic


@intrinsic
def copy(typing: Any, row: Any, out: Any) -> Any:
    """``out[: len(row)] = row``, of one type, both in one piece."""
    signature = types.void(row, out) if row.dtype == out.dtype and row.layout == out.layout == "C" else None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        cgutils.raw_memcpy(builder, target.data, source.data, source.nitems, source.itemsize)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def clear(typing: Any, row: Any) -> Any:
    """``row[...] = 0``, in one piece."""
    signature = types.void(row) if row.layout == "C" else None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        cgutils.memset(builder, array.data, builder.mul(array.nitems, array.itemsize), 0)
        return context.get_dummy_value()

    return signature, generate
