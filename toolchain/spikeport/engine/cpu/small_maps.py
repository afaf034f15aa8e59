"""Windows over one small map, place by place: where a call of torch would take longer than they do."""

from __future__ import annotations

from typing import Any

from spikeport.engine.cpu.structures import Bytes, Integers, Plan
from spikeport.machine import compiled


@compiled
def multiplied(x: Bytes, weight: Any, plan: Plan, out: Integers) -> None:
    """Sums ``out`` [T * B, places * width] of maps ``x`` [T * B, places * channels].

    ``weight``: [kernel rows, kernel columns, channels, width].
    """
    (rows, columns, channels), width = plan.size, plan.lanes
    for t in range(x.shape[0]):
        values, sums = x[t], out[t]
        for i in range(plan.leaving[0]):
            for j in range(plan.leaving[1]):
                place = sums[(i * plan.leaving[1] + j) * width :][:width]
                for o in range(width):
                    place[o] = 0
                for k in range(plan.kernel[0]):
                    row = i * plan.stride[0] + k * plan.dilation[0] - plan.padding[0]
                    if row < 0 or row >= rows:
                        continue
                    for m in range(plan.kernel[1]):
                        column = j * plan.stride[1] + m * plan.dilation[1] - plan.padding[1]
                        if column < 0 or column >= columns:
                            continue
                        first = (row * columns + column) * channels
                        for c in range(channels):
                            value = values[first + c]
                            if value != 0:
                                reached = weight[k, m, c]
                                for o in range(width):
                                    place[o] += value * reached[o]


@compiled
def pooled(x: Bytes, plan: Plan, out: Bytes) -> None:
    """Windows of maps ``x`` [T * B, places * width] summed to ``out`` [T * B, places * width], in bytes."""
    (rows, columns, _), width = plan.size, plan.lanes
    for t in range(x.shape[0]):
        values, sums = x[t], out[t]
        for i in range(plan.leaving[0]):
            for j in range(plan.leaving[1]):
                place = sums[(i * plan.leaving[1] + j) * width :][:width]
                for o in range(width):
                    place[o] = 0
                for k in range(plan.kernel[0]):
                    for m in range(plan.kernel[1]):
                        row, column = i * plan.stride[0] + k - plan.padding[0], j * plan.stride[1] + m - plan.padding[1]
                        if 0 <= row < rows and 0 <= column < columns:
                            part = values[(row * columns + column) * width :][:width]
                            for o in range(width):
                                place[o] += part[o]
