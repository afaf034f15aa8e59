"""What passes between the layers of a chain, and how the sums of a synapse are made of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikeport.engine.cpu import maps, sparse
from spikeport.engine.cpu.fire import fire
from spikeport.engine.cpu.gather import Matrix
from spikeport.engine.cpu.matrix import laid_out
from spikeport.engine.cpu.small_maps import multiplied
from spikeport.engine.cpu.structures import KINDS, Block, Lists, Plan, Scratch
from spikeport.graph import Array, Conv, Linear, Range, Shape, Synapse
from spikeport.machine import settled

WORD = 8  #: channels that are listed together
SMALLEST = 256  #: weights of a matrix whose events are added: five times as fast for 96 x 10, where a quarter fires
Call = Callable[[], Any]


def padded(channels: int) -> int:
    """Channels with those that are missing to a whole word."""
    return channels + -channels % WORD


@dataclass(frozen=True)
class Wire:
    """What passes between two layers, bytes with the channels last; zeros beyond the channels of its shape."""

    values: Array  #: uint8 [T or 1, B, places * width]
    shape: Shape  #: of the map, also where it was flattened
    width: int

    @property
    def whole(self) -> Shape:
        """The map as it lies there."""
        return (self.width, *self.shape[1:])

    @property
    def channels_first(self) -> Array:
        """A view of the maps [T or 1, B, *shape]."""
        places = self.values.reshape(*self.values.shape[:2], *self.shape[1:], self.width)
        return np.moveaxis(places[..., : self.shape[0]], -1, 2)

    @property
    def rows(self) -> Array:
        """A view of one map after the other, [T * B or B, places * width]."""
        return self.values.reshape(-1, self.values.shape[2])

    @classmethod
    def empty(cls, steps: int, samples: int, shape: Shape, width: int) -> Wire:
        """A new one."""
        return cls(np.zeros((steps, samples, math.prod(shape[1:]) * width), np.uint8), shape, width)


@dataclass(frozen=True)
class Weights:
    """A synapse whose sums are to be made, laid out for what one kind of wire brings."""

    node: Synapse  #: its weights in the order of the wire's values
    x: Range  #: of what enters
    entering: Shape  #: as they lie there
    leaving: Shape

    @cached_property
    def rows(self) -> sparse.Rows | None:
        """Where events are added; else all is multiplied."""
        large = not isinstance(self.node, Linear) or self.node.weight.size >= SMALLEST
        serve = large and self.entering[0] % WORD == 0
        return sparse.rows(self.node, self.x, self.entering) if serve else None

    @cached_property
    def matrix(self) -> Matrix | None:
        """The rows of a matrix, for neurons that feed back to themselves."""
        return laid_out(self.node, np.dtype(np.int32), int(self.x.high)) if isinstance(self.node, Linear) else None

    @property
    def width(self) -> int:
        """Channels of a place that leaves, with those that are missing."""
        return self.rows.width if self.rows else padded(self.leaving[0])

    @cached_property
    def dense(self) -> tuple[Array, Plan]:
        """Weights int32 [kernel rows, kernel columns, channels in, width], and how the windows lie."""
        node = self.node
        kernel, stride, padding, dilation = maps.plane(node)
        size, leaving = maps.map_of(self.entering), maps.map_of(self.leaving)
        weight = node.weight.reshape(*node.weight.shape[:2], *kernel).astype(np.int32)
        weight = np.pad(weight, ((0, self.width - len(weight)), (0, 0), (0, 0), (0, 0)))
        across = (*size[1:], size[0]), kernel, stride, padding, dilation
        plan = Plan(*across, leaving[1:], 0, leaving[0], self.width, 0, 0)
        return np.ascontiguousarray(weight.transpose(2, 3, 1, 0)), plan


@dataclass(frozen=True)
class Sums:
    """What a wire brings to a synapse."""

    weights: Weights
    wire: Wire

    def words(self) -> Array:
        """What enters, [T or 1, B, words]."""
        return self.wire.values.view(np.uint64)

    def memory(self, rows: sparse.Rows) -> tuple[Lists, Scratch, Block]:
        """What the loop over events works in."""
        steps, samples = self.wire.values.shape[:2]
        return *rows.memory(steps * min(samples, rows.together(steps))), rows.block()

    def called(self, calls: list[Call]) -> Array:
        """Where a call more puts the sums: int32 [T or 1, B, places * width]."""
        rows, (steps, samples) = self.weights.rows, self.wire.values.shape[:2]
        out = np.zeros((steps, samples, math.prod(self.weights.leaving[1:]) * self.weights.width), np.int32)
        if rows is None:
            calls.append(settled(multiplied, self.wire.rows, *self.weights.dense, out.reshape(-1, out.shape[2])))
            return out
        nothing, nobody = np.empty((0, 0, 0), np.int32), np.empty((0, KINDS), np.int64)
        told = self.words(), rows.weight, rows.plan, sparse.NOBODY, sparse.PARAMETERS, 1
        nowhere = np.empty((0, 0, 0), np.uint8)
        calls.append(settled(fire, *told, nowhere, out, nothing, *self.memory(rows), nobody, 0, samples))
        return out


def laid(node: Synapse, x: Range, wire: Wire) -> Weights | None:
    """Those of a synapse on what a wire brings; None where it is over groups or volumes, or 32 bits do not hold its
    sums."""
    if node.sums(x).size >= 2**31 or node.bias is not None or not isinstance(node, Linear | Conv):
        return None
    turned: Synapse
    missing, places = wire.width - wire.shape[0], math.prod(wire.shape[1:])
    if isinstance(node, Conv):
        if node.groups > 1 or len(node.kernel) > 2:
            return None
        turned = node.with_(weight=np.pad(node.weight, ((0, 0), (0, missing), *((0, 0),) * len(node.kernel))))
        entering, leaving = wire.whole, node.output_shape(wire.shape)
    else:
        weight = np.pad(node.weight.reshape(node.channels, wire.shape[0], places), ((0, 0), (0, missing), (0, 0)))
        turned = node.with_(weight=weight.swapaxes(1, 2).reshape(node.channels, -1))
        entering, leaving = (places * wire.width,), (node.channels,)
    return Weights(turned, x, entering, leaving)
