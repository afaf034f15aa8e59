"""Sums from events: the weights that an input reaches, added for what fired alone.

Spikes are few. A synapse whose inputs are mostly zero adds, for each output place, the rows of weights ([lanes] output
channels) that its window's events choose: exact in 16 or 32 bits, no product at all. An input of size s is s events.

A map's events are listed place by place, then for each row of output places the rows that its windows touch, column by
column. Places side by side have windows that overlap, so each window is one run of that list, and only the base of the
weights moves from place to place.

Measured on one core with AVX512-VNNI, 64 -> 64 channels, 32 x 32, 3 x 3, 64 maps, 15 % events: 5.8 ms (0.7 of them for
listing), 0.6 ns for an event and 64 channels; the dense product of bytes takes 11.8 ms. `SHARES` follows from that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from spikeport.engine.kernels import Bytes, Integers, compiled
from spikeport.engine.neuron import flat
from spikeport.engine.ranges import Range, product
from spikeport.graph import Array, Conv, Linear, Shape, Synapse
from spikeport.threads import over_parts

UNIT = 16  #: output channels are added in vectors of 1, 2 or 4 times as many
STEEPEST = 8  #: the largest input size taken as that many events
SAMPLED = 16  #: one map in so many is looked at to find the share of events
EXACT = 256  #: events whose weights, at most 128 large, 16 bits can sum
MARGIN = 24  #: events that may be written beyond the last
LISTED = 1 << 17  #: events that a thread lists before it adds them, so that a tile of weights serves many maps
BITS = np.zeros(256 * 8, np.int32)  #: places of the bits that a byte has set, the lowest first, eight a byte
SET = np.zeros(256, np.uint64)  #: how many those are
for _byte in range(256):
    _places = [place for place in range(8) if _byte >> place & 1]
    BITS[8 * _byte : 8 * _byte + len(_places)], SET[_byte] = _places, len(_places)
HIGH = np.uint64(0x8080808080808080)  # the highest bit of each of eight bytes
ONES = np.uint64(0x0101010101010101)
GATHER = np.uint64(0x0102040810204080)  # times eight bytes of 0 or 1: their bits side by side in the highest byte
SEVEN, TOP = np.uint64(7), np.uint64(56)

#: events per input up to which adding rows is faster than the dense product of each way ("amx": bytes on tiles)
SHARES = {"amx": 0.03, "int8": 0.2, "float32": 0.6, "float64": 1.0}


@intrinsic  # type: ignore[untyped-decorator]
def add_rows(typing: Any, sums: Any, rows: Any, base: Any, events: Any, run: Any, units: Any) -> Any:
    """``sums += rows[base + lanes * e : ... + lanes]`` for the events e of a run (begin, end).

    ``units`` is a tuple whose length times `UNIT` is the number of lanes: a type, so that the vectors' length is known
    when the loop is compiled. The sums stay in registers.
    """
    signature = types.void(sums, rows, base, events, run, units)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, lanes = signature.args, UNIT * len(signature.args[5])
        sums, rows, events = (context.make_array(kinds[i])(context, builder, arguments[i]).data for i in (0, 1, 3))
        begin, end = (builder.extract_value(arguments[4], i) for i in (0, 1))
        word = ir.IntType(64)
        total = ir.VectorType(context.get_value_type(kinds[0].dtype), lanes)
        row = ir.VectorType(context.get_value_type(kinds[1].dtype), lanes)
        place = builder.bitcast(sums, total.as_pointer())
        align = kinds[0].dtype.bitwidth // 8
        before = builder.load(place, align=align)
        origin = builder.gep(rows, [arguments[2]])
        entry = builder.block
        loop, done = builder.append_basic_block("events"), builder.append_basic_block("added")
        builder.cbranch(builder.icmp_signed("<", begin, end), loop, done)
        builder.position_at_end(loop)
        i, held = builder.phi(word), builder.phi(total)
        event = builder.sext(builder.load(builder.gep(events, [i])), word)
        chosen = builder.gep(origin, [builder.mul(event, ir.Constant(word, lanes))])
        weights = builder.load(builder.bitcast(chosen, row.as_pointer()), align=1)
        more = builder.add(held, builder.sext(weights, total))
        following = builder.add(i, ir.Constant(word, 1))
        for value, first, later in ((i, begin, following), (held, before, more)):
            value.add_incoming(first, entry)
            value.add_incoming(later, loop)
        builder.cbranch(builder.icmp_signed("<", following, end), loop, done)
        builder.position_at_end(done)
        after = builder.phi(total)
        after.add_incoming(before, entry)
        after.add_incoming(more, loop)
        builder.store(after, place, align=align)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def put(typing: Any, events: Any, at: Any, first: Any, source: Any, index: Any) -> Any:
    """``events[at : at + 8] = first + source[index : index + 8]``, int32, at once."""
    signature = types.void(events, at, first, source, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        eight = ir.VectorType(ir.IntType(32), 8)
        target, source = (
            builder.bitcast(
                builder.gep(context.make_array(signature.args[i])(context, builder, arguments[i]).data, [arguments[j]]),
                eight.as_pointer(),
            )
            for i, j in ((0, 1), (3, 4))
        )
        one = builder.insert_element(ir.Constant(eight, ir.Undefined), arguments[2], ir.Constant(ir.IntType(32), 0))
        firsts = builder.shuffle_vector(one, one, ir.Constant(eight, [0] * 8))
        builder.store(builder.add(builder.load(source, align=4), firsts), target, align=4)
        return context.get_dummy_value()

    return signature, generate


@compiled
def listed(x: Any, each: int, high: int, events: Integers, starts: Any) -> None:
    """Events of one map ``x`` [places * each], eight channels a word; those of place p begin at ``starts[p]``."""
    k = np.uint64(0)
    for p in range(len(starts) - 1):
        starts[p] = k
        for q in range(each):
            word = x[p * each + q]
            for size in range(high):
                # bytes above `size`: those whose sum with 127 - size reaches the highest bit
                above = word if high == 1 else np.uint64(np.uint64(word + np.uint64(127 - size) * ONES) & HIGH) >> SEVEN
                mask = np.uint64(above * GATHER) >> TOP
                put(events, np.int64(k), np.int32(8 * q), BITS, np.int64(8 * mask))  # of eight, those that are set stay
                k = np.uint64(k + SET[mask])
                if high > 1 and mask == 0:
                    break
    starts[len(starts) - 1] = k


@compiled
def window_rows(
    top: int, size: tuple[int, int, int], rows: int, apart: int, found: Integers, starts: Any, events: Integers, at: Any
) -> None:
    """Events of ``rows`` rows of a map, the first ``top`` and the next ones ``apart``, column by column.

    Event c of row r and column x becomes ``(x * rows + r) * channels + c``; column x begins at ``at[x]``.
    """
    height, width, channels = size
    k = 0
    for x in range(width):
        at[x] = k
        for r in range(rows):
            y = top + r * apart
            if 0 <= y < height:
                first, offset = starts[y * width + x], np.int32((x * rows + r) * channels)
                count = starts[y * width + x + 1] - first
                put(events, k, offset, found, first)  # sixteen at once: most places have fewer
                put(events, k + 8, offset, found, first + 8)
                for e in range(16, count, 8):
                    put(events, k + e, offset, found, first + e)
                k += count
    at[width] = k


@compiled
def add(
    x: Any,  # uint64 [maps, places * channels / 8], channels last, padded to a multiple of eight
    weight: Any,  # int8 [tiles, kernel columns * kernel rows * channels * lanes]
    high: int,
    size: tuple[int, int, int],  # rows, columns and channels of a map
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    out: Any,  # int16 or int32 [maps, rows, columns, channels]
    units: Any,
    begin: int,
    end: int,
) -> None:
    """The sums of the maps ``begin`` ... ``end - 1``."""
    height, width, channels = size
    lanes, span = UNIT * len(units), kernel[1] if dilation[1] == 1 else 1
    leaving, column = out.shape[3], kernel[0] * channels
    group = min(max(1, LISTED // (height * width * channels * high)), max(1, end - begin))
    found = np.empty((group, height * width * channels * high + MARGIN), np.int32)
    starts = np.empty((group, height * width + 1), np.int64)
    events, at = np.empty(width * column * high + MARGIN, np.int32), np.empty(width + 1, np.int64)
    sums, part, narrow = np.empty(lanes, np.int32), np.empty(lanes, np.int16), out.itemsize == 2
    for a in range(begin, end, group):
        for n in range(a, min(a + group, end)):
            listed(x[n], channels // 8, high, found[n - a], starts[n - a])
        for tile in range(weight.shape[0]):
            some, base = min(lanes, leaving - tile * lanes), weight[tile]
            for n in range(a, min(a + group, end)):
                for i in range(out.shape[1]):
                    top = i * stride[0] - padding[0]
                    window_rows(top, size, kernel[0], dilation[0], found[n - a], starts[n - a], events, at)
                    for j in range(out.shape[2]):
                        part[:], sums[:] = 0, 0
                        for k in range(0, kernel[1], span):
                            left = j * stride[1] - padding[1] + k * dilation[1]
                            low, last = at[min(max(left, 0), width)], at[min(max(left + span, 0), width)]
                            first_row = (k - left) * column * lanes
                            if narrow:
                                add_rows(part, base, first_row, events, (low, last), units)
                            for e in range(low, low if narrow else last, EXACT):
                                add_rows(part, base, first_row, events, (e, min(e + EXACT, last)), units)
                                for c in range(lanes):
                                    sums[c] += part[c]
                                part[:] = 0
                        for c in range(some):
                            out[n, i, j, tile * lanes + c] = part[c] if narrow else sums[c]


@compiled
def sizes(x: Bytes, every: int) -> int:
    """The sum of one row of ``x`` in ``every``."""
    total: Any = 0
    for n in range(0, x.shape[0], every):
        for i in range(x.shape[1]):
            total += np.int64(x[n, i])
    return int(total)


@dataclass(frozen=True)
class Rows:
    """A synapse's weights laid out by input: int8 [tiles, kernel places * channels in * lanes], unused lanes zero."""

    node: Synapse
    shape: Shape  #: of what enters
    weight: Array
    units: tuple[int, ...]
    high: int  #: the largest input
    sums: Literal["int16", "int32"]

    def share(self, x: Tensor) -> float:
        """Events per input, judged on one map in `SAMPLED`."""
        values = _maps(x)
        looked = -(-len(values) // SAMPLED) * values.shape[1]
        return sizes(values, SAMPLED) / looked if looked else 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """Exact sums [N, *out] of inputs [N, *in] in bytes."""
        values, (kernel, stride, padding, dilation) = _maps(x), _plane(self.node)
        leaving = self.node.output_shape(self.shape)
        channels = self.weight.shape[1] // (UNIT * len(self.units)) // (kernel[0] * kernel[1])
        size = (*_map(self.shape)[1:], channels)
        out = np.empty((len(values), *_map(leaving)[1:], leaving[0]), self.sums)

        words = _padded(values, self.shape[0], channels).view(np.uint64)

        def part(begin: int, end: int) -> None:
            add(words, self.weight, self.high, size, kernel, stride, padding, dilation, out, self.units, begin, end)

        over_parts(part, len(values), step=1, weight=values.shape[1])
        return torch.from_numpy(out.reshape(len(values), *leaving[1:], leaving[0])).movedim(-1, 1)


def rows(node: Synapse, x: Range, shape: Shape) -> Rows | None:
    """The layout for inputs in ``x``; None where events do not serve: groups, inputs below zero or large, wide sums."""
    reach = product(node.weight, x)
    grouped = isinstance(node, Conv) and node.groups > 1
    if grouped or x.low < 0 or not 0 < x.high <= STEEPEST or reach.size >= 2**31 or node.weight.dtype != np.int8:
        return None
    kernel = _plane(node)[0]
    by_place = node.weight.reshape(*node.weight.shape[:2], *kernel).transpose(3, 2, 1, 0)  # columns, rows, in, out
    by_place = np.pad(by_place, ((0, 0), (0, 0), (0, -by_place.shape[2] % 8), (0, 0)))
    by_input = by_place.reshape(-1, len(node.weight))
    lanes = min(UNIT * 4, UNIT << max(0, (-(-len(node.weight) // UNIT) - 1).bit_length()))
    tiles = -(-len(node.weight) // lanes)
    full = np.zeros((len(by_input), tiles * lanes), np.int8)
    full[:, : len(node.weight)] = by_input
    tiled = np.ascontiguousarray(full.reshape(-1, tiles, lanes).swapaxes(0, 1)).reshape(tiles, -1)
    return Rows(node, shape, tiled, (0,) * (lanes // UNIT), x.high, "int16" if reach.size < 2**15 else "int32")


def either(dense: Callable[[Tensor], Tensor], way: str, found: Rows) -> Callable[[Tensor], Tensor]:
    """A synapse that takes the faster of two ways for the events that come."""
    costly = (found.sums == "int32") + (isinstance(found.node, Conv) and int(np.prod(found.node.kernel)) == 1)
    most = SHARES[way] / (1 + costly)  # wide sums take twice as long; a single tap does not repay the listing

    def run(x: Tensor) -> Tensor:
        return found(x) if found.share(x) <= most else dense(x)

    return run


def _maps(x: Tensor) -> Array:
    """[N, values of a map], channels last."""
    return flat(x[None]).reshape(len(x), -1)


def _padded(maps: Array, channels: int, wide: int) -> Array:
    """Maps with zeros for channels that a multiple of eight has more."""
    if wide == channels:
        return maps
    values = np.zeros((len(maps), maps.shape[1] // channels, wide), np.uint8)
    values[:, :, :channels] = maps.reshape(len(maps), -1, channels)
    return values.reshape(len(maps), -1)


def _map(shape: Shape) -> tuple[int, int, int]:
    """Channels, rows and columns: features are a map of one place, a line is a map of one row."""
    return cast(tuple[int, int, int], (shape[0], *(1,) * (3 - len(shape)), *shape[1:]))


def _plane(node: Synapse) -> list[tuple[int, int]]:
    """Kernel, stride, padding and dilation over rows and columns."""
    if isinstance(node, Linear):
        return [(1, 1), (1, 1), (0, 0), (1, 1)]
    conv = cast(Conv, node)
    both = ((1, conv.kernel), (1, conv.stride), (0, conv.padding), (1, conv.dilation))
    return [(first, value[0]) if len(value) == 1 else (value[0], value[1]) for first, value in both]
