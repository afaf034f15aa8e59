"""Vectors of neighbouring numbers, for loops that numba compiles: what LLVM would not find by itself.

A *panel* is a matrix of `LANES` bytes a row, row after row: [rows, lanes]. A matrix of n * lanes columns is n panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 64  #: bytes of a vector: one of AVX512; LLVM splits it where the processor has shorter ones
ROWS = 8  #: rows of a product that stay in registers ...
PANELS = 2  #: ... and vectors of each: 16 sums, of 32 registers; more were not faster

_WORD = ir.IntType(64)
_FUSED = ("contract",)  # a product and a sum become one instruction, with one rounding


def _number(value: int) -> Any:
    return ir.Constant(_WORD, value)


def _vector(context: Any, kind: Any) -> Any:
    return ir.VectorType(context.get_value_type(kind), LANES * 8 // kind.bitwidth)


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    """A vector of one value."""
    whole = ir.IntType(32)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(whole, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(whole, vector.count), [0] * vector.count))


class _Loop:
    """A loop in LLVM's words: ``count`` times, at least once; ``values`` are carried from turn to turn."""

    def __init__(self, builder: Any, count: Any, values: Sequence[Any]) -> None:
        self.builder, self.count, self.entry = builder, count, builder.block
        self.body = builder.append_basic_block("body")
        builder.branch(self.body)
        builder.position_at_end(self.body)
        self.turn = builder.phi(_WORD)
        self.turn.add_incoming(_number(0), self.entry)
        self.values = [builder.phi(value.type) for value in values]
        for held, first in zip(self.values, values, strict=True):
            held.add_incoming(first, self.entry)

    def close(self, values: Sequence[Any]) -> None:
        builder, done = self.builder, self.builder.append_basic_block("done")
        following = builder.add(self.turn, _number(1))
        for held, later in zip((self.turn, *self.values), (following, *values), strict=True):
            held.add_incoming(later, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, self.count), self.body, done)
        builder.position_at_end(done)


def products(*, along: bool, onto: bool) -> Any:
    """``product(a, a_at, a_apart, b, b_at, b_apart, c, c_at, c_apart, count)``: `ROWS` rows of a product of matrices.

    c[r, :] = sum_i a[r, i] * b[i, :], and + c[r, :] if ``onto``, for `PANELS` panels of b and c. All are flat arrays of
    panels that start at ``.._at`` and lie ``.._apart`` numbers from each other. If ``along``, a row of a lies along its
    panels' rows and ``count`` panels are summed; else a is transposed, a[r, i] is place r of row i of its only panel,
    and ``count`` rows are summed.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def product(
        typing: Any, a: Any, a_at: Any, a_apart: Any, b: Any, b_at: Any, b_apart: Any, c: Any, c_at: Any, c_apart: Any,
        count: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(a, a_at, a_apart, b, b_at, b_apart, c, c_at, c_apart, count)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = signature.args[0].dtype
            vector, align = _vector(context, kind), kind.bitwidth // 8
            starts = (
                builder.gep(context.make_array(signature.args[i])(context, builder, arguments[i]).data,
                            [arguments[i + 1]]) for i in (0, 3, 6)
            )  # fmt: skip
            a, b, c = starts
            a_apart, b_apart, c_apart, count = (arguments[i] for i in (2, 5, 8, 9))
            across, down = (vector.count, 1) if along else (1, vector.count)  # from row to row, from i to i + 1
            places = [
                builder.bitcast(builder.gep(c, [builder.add(builder.mul(c_apart, _number(p)),
                                                            _number(r * vector.count))]), vector.as_pointer())
                for r in range(ROWS) for p in range(PANELS)
            ]  # fmt: skip
            zero = ir.Constant(vector, [0.0] * vector.count)
            sums = [zero for _ in places]

            def turn(a: Any, b: Any, sums: Sequence[Any]) -> list[Any]:
                columns = [
                    builder.load(builder.bitcast(builder.gep(b, [builder.mul(b_apart, _number(p))]),
                                                 vector.as_pointer()), align=align) for p in range(PANELS)
                ]  # fmt: skip
                rows = [builder.load(builder.gep(a, [_number(r * across)])) for r in range(ROWS)]
                factors = [(_spread(builder, row, vector), column) for row in rows for column in columns]
                return [builder.fadd(builder.fmul(*pair, flags=_FUSED), held, flags=_FUSED)
                        for pair, held in zip(factors, sums, strict=True)]  # fmt: skip

            outer = _Loop(builder, count if along else _number(1), [a, b, *sums])
            inner = _Loop(builder, _number(vector.count) if along else count, outer.values)
            at, row, *held = inner.values
            found = turn(at, row, held)
            below = builder.gep(row, [_number(vector.count)])
            inner.close([builder.gep(at, [_number(down)]), below, *found])
            outer.close([builder.gep(outer.values[0], [a_apart]), below, *found])
            for place, value in zip(places, found, strict=True):
                # added last: of many short sums, not one long one, a number keeps more digits
                total = builder.fadd(builder.load(place, align=align), value) if onto else value
                builder.store(total, place, align=align)
            return context.get_dummy_value()

        return signature, generate

    return product


def two_sided(matrix: Sequence[Sequence[float]]) -> Any:
    """``turned(like, sources, source_at, targets, target_at)``: matrix @ d @ matrix^T, for a vector of places at once.

    ``sources`` and ``targets`` are int64 arrays of addresses in bytes, those of d's numbers and of the result's, row by
    row; each is that of the first of `LANES` bytes, after ``.._at`` bytes. ``like`` is an array of their dtype.
    """
    size = len(matrix[0])

    @intrinsic  # type: ignore[untyped-decorator]
    def turned(typing: Any, like: Any, sources: Any, source_at: Any, targets: Any, target_at: Any) -> Any:
        signature = types.void(like, sources, source_at, targets, target_at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = signature.args[0].dtype
            vector, align = _vector(context, kind), kind.bitwidth // 8

            def place(which: int, index: int) -> Any:
                array = context.make_array(signature.args[which])(context, builder, arguments[which])
                start = builder.load(builder.gep(array.data, [_number(index)]))
                return builder.inttoptr(builder.add(start, arguments[which + 1]), vector.as_pointer())

            def combined(row: Sequence[float], values: Sequence[Any]) -> Any:
                total = None
                for factor, value in zip(row, values, strict=True):
                    if factor == 0:
                        continue
                    if abs(factor) != 1:
                        value = builder.fmul(value, ir.Constant(vector, [abs(factor)] * vector.count), flags=_FUSED)
                    if total is None:
                        total = value if factor > 0 else builder.fneg(value)
                    else:
                        total = (builder.fadd if factor > 0 else builder.fsub)(total, value, flags=_FUSED)
                return total

            d = [[builder.load(place(1, i * size + j), align=align) for j in range(size)] for i in range(size)]
            half = [[combined(row, [d[i][j] for i in range(size)]) for j in range(size)] for row in matrix]
            for i, line in enumerate(half):
                for j, row in enumerate(matrix):
                    builder.store(combined(row, line), place(3, i * len(matrix) + j), align=align)
            return context.get_dummy_value()

        return signature, generate

    return turned
