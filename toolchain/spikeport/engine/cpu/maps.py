"""Maps of events: how the windows of a synapse lie on them, in bytes, and in what their events are listed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from torch import Tensor

from spikeport.engine.cpu.listing import MARGIN, sizes
from spikeport.engine.cpu.structures import Lists, Plan, Scratch
from spikeport.engine.neuron import flat
from spikeport.graph import Array, Conv, Linear, Range, Shape, Synapse

STEEPEST = 8  #: the largest input size taken as that many events
SAMPLED = 32  #: one map in so many is looked at to find the share of events
LISTED = 1 << 17  #: events that a thread lists before it adds them, so that a tile of weights serves many maps


@dataclass(frozen=True)
class Maps:
    """What enters a synapse: bytes [N, *shape]."""

    node: Synapse
    shape: Shape  #: of what enters
    plan: Plan

    def share(self, x: Tensor) -> float:
        """Events per input, judged on one map in `SAMPLED`."""
        values = _maps(x)
        looked = -(-len(values) // SAMPLED) * values.shape[1]
        return sizes(values, SAMPLED) / looked if looked else 0.0

    @cached_property
    def most(self) -> int:
        """The most events that a map can have."""
        return int(np.prod(self.plan.size)) * self.plan.high

    def together(self, steps: int) -> int:
        """Samples of so many steps that are listed before they are added."""
        return max(1, LISTED // (self.most * max(1, steps)))

    def memory(self, maps: int) -> tuple[Lists, Scratch]:
        """What a loop lists so many maps in, and makes sums in."""
        plan, lanes = self.plan, self.plan.lanes
        (rows, columns, channels), high = plan.size, plan.high
        lists = Lists(np.empty((maps, self.most + MARGIN), np.int32), np.empty((maps, rows * columns + 1), np.int64))
        events = np.empty(columns * plan.kernel[0] * channels * high + MARGIN, np.int32)
        return lists, Scratch(events, np.empty(columns + 1, np.int64), np.zeros(lanes, np.int16))

    def words(self, x: Tensor) -> Array:
        """Maps [N, *in] in bytes as [N, places * channels / 8], eight channels a word, with zeros for missing ones."""
        maps, (channels, padded) = _maps(x), (self.shape[0], self.plan.size[2])
        if padded != channels:
            values = np.zeros((len(maps), maps.shape[1] // channels, padded), np.uint8)
            values[:, :, :channels] = maps.reshape(len(maps), -1, channels)
            maps = values.reshape(len(maps), -1)
        return maps.view(np.uint64)


def listable(node: Synapse, x: Range) -> bool:
    """Whether events in ``x`` are listed for a synapse: not for groups and volumes, below zero or large."""
    other = isinstance(node, Conv) and (node.groups > 1 or len(node.kernel) > 2)
    return not other and x.low >= 0 and 0 < x.high <= STEEPEST


def planned(node: Synapse, shape: Shape, high: int, *, lanes: int, taps: int, together: int) -> Plan:
    """How windows lie on a map of inputs up to ``high``; the rest as `Plan` has it."""
    size, leaving = map_of(shape), map_of(node.output_shape(shape))
    kernel, stride, padding, dilation = plane(node)
    map_ = (*size[1:], size[0] + -size[0] % 8)
    return Plan(map_, kernel, stride, padding, dilation, leaving[1:], high, leaving[0], lanes, taps, together)


def _maps(x: Tensor) -> Array:
    """[N, values of a map], channels last."""
    return flat(x[None]).reshape(len(x), -1)


def map_of(shape: Shape) -> tuple[int, int, int]:
    """Channels, rows and columns: features are a map of one place, a line is a map of one row."""
    return cast(tuple[int, int, int], (shape[0], *(1,) * (3 - len(shape)), *shape[1:]))


def plane(node: Synapse) -> list[tuple[int, int]]:
    """Kernel, stride, padding and dilation over rows and columns."""
    if isinstance(node, Linear):
        return [(1, 1), (1, 1), (0, 0), (1, 1)]
    conv = cast(Conv, node)
    both = ((conv.kernel, 1), (conv.stride, 1), (conv.padding, 0), (conv.dilation, 1))
    return [over_both(value, alone) for value, alone in both]


def over_both(value: Shape, alone: int) -> tuple[int, int]:
    """A number for rows and one for columns; a line, which has one, has ``alone`` for rows."""
    return (alone, value[0]) if len(value) == 1 else (value[0], value[1])
