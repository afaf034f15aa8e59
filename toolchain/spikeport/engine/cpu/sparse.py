"""Sums from events: the weights that an input reaches, added for what fired alone.

Spikes are few. A synapse whose inputs are mostly zero adds, for each output place, the rows of weights ([lanes] output
channels) that its window's events choose: exact in 16 or 32 bits, no product at all. An input of size s is s events.

`listing` makes the lists, `sums` adds. Where windows move by one place, an event adds to all places of its row at
once, whose sums move through registers (`windows.sliding`); else each place has a run of the list (`windows.by_place`).
Where channels are few, the end of each run, a mispredicted branch, would take longer than its additions: places of two
or four rows, one below the other, then share a run, their sums side by side in a row of weights (`folded`).

Measured on one core of a Zen 4, 64 -> 64 channels, 32 x 32, 3 x 3, 64 maps, 15 % events: 4.3 ms (0.6 of them for
listing), 0.5 ns for an event and 64 channels; the dense product of bytes takes 11.8 ms. Which way a layer takes is
tried (`trial`). A linear layer from 64 to 10 takes 70 ns a sample by either way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.cpu.fire import fire
from spikeport.engine.cpu.maps import Maps, listable, map_of, plane, planned
from spikeport.engine.cpu.structures import KINDS, Block, Constants, Lists, Parameters, Scratch
from spikeport.engine.cpu.vectors import EXACT, HALF, LINE, SLOTS
from spikeport.graph import Array, Linear, Range, Shape, Synapse
from spikeport.machine.llvm import UNIT
from spikeport.threads import over_parts

SMALLEST = 1024  #: weights of a linear layer whose events are worth listing: below, the product takes no longer
PLACES = 512  #: rows of weights that are turned together, so that both sides stay in the cache
#: what adding a row of so many lanes costs, beside one of 64: measured, 5 to 15 % events
COSTS = {"AVX2": {16: 0.5, 32: 0.6, 64: 1.0}, "AVX512": {16: 0.75, 32: 0.8, 64: 1.0}}
END = 24  #: and what the end of a run costs: measured with one to 256 channels in, kernels 1, 3 and 5 wide (Zen 5)
SHARE = 0.1  #: of the inputs, those taken to fire where vectors are chosen
NEAR, FAR = 1 << 16, 1.3  #: bytes of weights beyond which a row costs so many times as much
FOLDS = (2, 4)  #: rows of places that may share a row of weights
NOBODY = Constants(*[np.int32(0)] * len(Constants._fields))
IDLE = np.empty(0, np.int32)
PARAMETERS = Parameters(IDLE, None, IDLE, np.empty((1, 0), np.int32), IDLE, None, None, None, None)


@dataclass(frozen=True)
class Rows(Maps):
    """A synapse's weights laid out by input, paired: int16 [tiles, kernel places * channels in, lanes / 2]."""

    weight: Array

    @property
    def work(self) -> int:
        """Multiply-adds of one map, were all its inputs multiplied."""
        return self.node.weight.size * int(np.prod(self.plan.leaving))

    def __call__(self, x: Tensor) -> Tensor:
        """Exact sums [N, *out] of inputs [N, *in] in bytes."""
        words, leaving = self.words(x), self.node.output_shape(self.shape)
        together = self.together(1)
        out = np.empty((len(words), 1, int(np.prod(leaving))), np.int32)

        def part(begin: int, end: int) -> None:
            lists, scratch = self.memory(min(together, max(1, end - begin)))
            for start in range(begin, end, together):
                some = slice(start, min(start + together, end))
                self.sums(words[some, None], out[some], lists, scratch)

        over_parts(part, len(words), step=1, weight=int(np.prod(self.shape)))
        return torch.from_numpy(out.reshape(len(words), *leaving[1:], leaving[0])).movedim(-1, 1)

    def sums(self, words: Array, out: Array, lists: Lists, scratch: Scratch) -> None:
        """Sums [N, 1, values], int32, of some maps [N, 1, words]: `fire` without neurons."""
        spikes, state, counts = (
            np.empty((0, 0, 0), np.uint8),
            np.empty((0, 0, 0), np.int32),
            np.empty((0, KINDS), np.int64),
        )
        told = words, self.weight, self.plan, NOBODY, PARAMETERS
        fire(*told, 1, spikes, out, state, lists, scratch, self.block(), counts, 0, 1)

    @property
    def width(self) -> int:
        """Channels of a place, in all tiles."""
        return len(self.weight) * self.plan.lanes // self.plan.fold

    def block(self) -> Block:
        """What a loop over neurons works in: ``fold`` rows of places, whose sums are made there too."""
        row = self.plan.leaving[1] * self.plan.lanes
        v, current, sums = np.empty((3, row), np.int32)
        return Block(v, current, sums, np.empty(row, np.uint8))


def repays(node: Synapse) -> bool:
    """Whether a synapse is large enough that listing events may repay, and the loops that do it are worth compiling."""
    return not isinstance(node, Linear) or node.weight.size >= SMALLEST


def rows(node: Synapse, x: Range, shape: Shape) -> Rows | None:
    """The layout for inputs in ``x``; None where events do not serve: groups, volumes, inputs below zero or large."""
    reach = node.sums(x)
    if not listable(node, x) or reach.size >= 2**31 or node.weight.dtype != np.int8:
        return None
    kernel, stride, _, dilation = plane(node)
    together = EXACT if reach.size >= 2**15 else 1 << 62
    slides = stride[1] == dilation[0] == dilation[1] == 1 and together > EXACT and kernel[1] <= SLOTS
    weight = node.weight.reshape(*node.weight.shape[:2], *kernel)
    if missing := -weight.shape[1] % 8:  # padding by nothing copies too
        weight = np.pad(weight, ((0, 0), (0, missing), (0, 0), (0, 0)))
    lanes, fold = vectors(node, node.output_shape(shape))
    taps = 0 if isinstance(node, Linear) else kernel[1] if slides else 1
    plan = planned(node, shape, int(x.high), lanes=lanes, taps=taps, together=together)
    if fold > 1:
        weight = folded(weight, fold, lanes // fold, stride[0])
        plan = plan._replace(kernel=weight.shape[2:], stride=(stride[0] * fold, stride[1]), fold=fold)
    order = weight[..., ::-1].transpose(2, 1, 3, 0) if slides else weight.transpose(3, 2, 1, 0)
    return Rows(node, shape, plan, _paired(order.reshape(-1, len(weight)), lanes))


def folded(weight: Array, fold: int, width: int, stride: int) -> Array:
    """Weights [out, in, rows, columns] of ``fold`` windows, each ``stride`` rows below the other, as those of one.

    int8 [fold * width, in, rows of all, columns]: a window's rows that are none of its own have zeros.
    """
    channels, inputs, rows, columns = weight.shape
    joint = np.zeros((fold, width, inputs, rows + (fold - 1) * stride, columns), np.int8)
    for number, own in enumerate(joint):
        own[:channels, :, number * stride :][:, :, :rows] = weight
    return joint.reshape(-1, *joint.shape[2:])


def _paired(rows: Array, lanes: int) -> Array:
    """Rows of weights [rows, channels out] as `add_rows` reads them: int16 [tiles, rows, lanes / 2]."""
    count, channels = rows.shape
    half = lanes // 2
    paired = _aligned((-(-channels // lanes), count, half))
    for tile, out in enumerate(paired):
        words = np.zeros((2, half, count), np.int16)
        for side, part in enumerate(words):
            some = rows[:, tile * lanes + side * half :][:, :half]
            part[: some.shape[1]] = some.T
        first, second = words
        second <<= HALF
        second += first
        second += 1 << HALF - 1
        for start in range(0, count, PLACES):
            out[start : start + PLACES] = second[:, start : start + PLACES].T
    return paired


def vectors(node: Synapse, leaving: Shape) -> tuple[int, int]:
    """The lanes of a row of weights and the rows of places that share it, at the least cost for a row of places."""
    costs = COSTS.get(torch.backends.cpu.get_cpu_capability(), COSTS["AVX2"])
    kernel, stride, _, dilation = plane(node)
    channels, places, _ = map_of(leaving)

    def cost(way: tuple[int, int]) -> float:
        """Of a place in each row, in rows of 64 weights added."""
        lanes, fold = way
        tiles = -(-channels * fold // lanes)
        rows = (kernel[0] + (fold - 1) * stride[0]) * kernel[1] * int(node.weight.shape[1])
        far = FAR if rows * tiles * lanes > NEAR else 1.0
        return tiles * (rows * SHARE * costs[lanes] * far + END) / fold

    folds = [(lanes, fold) for fold in FOLDS for lanes in costs if UNIT * fold <= lanes >= fold * channels]
    apart = isinstance(node, Linear) or dilation[0] > 1
    ways = [(lanes, 1) for lanes in costs] + [way for way in folds if not apart and way[1] <= places]
    return min(ways, key=lambda way: (cost(way), -way[0]))


def _aligned(shape: tuple[int, ...]) -> Array:
    """An int16 array that begins with a cache line: a row of weights that crosses two takes twice as long."""
    size = 2 * int(np.prod(shape))
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(np.int16).reshape(shape)
