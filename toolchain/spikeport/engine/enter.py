"""Samples on their way in: checked, cut into batches, and made integers where the graph computes with integers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import cpu
from spikeport.engine.program import Program
from spikeport.engine.ranges import Range
from spikeport.findings import fail
from spikeport.graph import Array, Graph, Input, Loihi
from spikeport.target import check_input
from spikeport.threads import over_parts


def check(graph: Graph, samples: Array) -> tuple[int, Range | None]:
    """How many samples there are, and in which range their integers lie (None for real numbers).

    Where the graph says which integers may enter, that is the range. Raises SP502 for input of the wrong shape or type,
    SP504 where integers lie outside what the graph was made for.
    """
    total = check_input(graph, samples)
    if samples.dtype.kind not in "fiub":
        fail("SP502", f"the input holds {samples.dtype}, not numbers", where=f"node {graph.input!r}")
    if not isinstance(graph.arithmetic, Loihi):
        return total, None
    node = _input(graph)
    unit = float(node.unit)
    low, high = sorted(int(np.rint(end / unit)) for end in _ends(samples))  # rounding keeps the order
    if low < node.low or high > node.high:
        fail(
            "SP504",
            f"input spans {low} ... {high} units of {unit:g}, the graph was made for {node.low:g} ... {node.high:g}",
            where=f"node {graph.input!r}",
            mend="scale the input as the calibration data were, or quantise again with data that span it",
        )
    bounds = ((node.low, low), (node.high, high))
    return total, Range(*(int(bound) if np.isfinite(bound) else end for bound, end in bounds))


def _ends(samples: Array) -> tuple[float, float]:
    """The least and the largest value."""
    if not samples.size:
        return 0.0, 0.0
    values = samples.reshape(-1) if samples.flags.c_contiguous else samples
    ends = over_parts(lambda a, b: (values[a:b].min(), values[a:b].max()), len(values), weight=values[0].size)
    return float(np.min([low for low, _ in ends])), float(np.max([high for _, high in ends]))


def cut(graph: Graph, samples: Array, start: int, stop: int) -> Array:
    """Some of the samples."""
    return samples[:, start:stop] if _input(graph).coding == "events" else samples[start:stop]


def values(program: Program, samples: Array) -> Tensor:
    """The samples as [T or 1, B, *input]: integers in units of the input, or floats of the graph's type."""
    node, dtype = _input(program.graph), program.entering[program.graph.input]
    frames = samples if node.coding == "events" else samples[None]
    if program.integers and program.device == "cpu":
        return cpu.enter(frames, float(node.unit), dtype)
    value = torch.from_numpy(_own(frames if frames.dtype.isnative else frames.astype(frames.dtype.newbyteorder("="))))
    value = (value.double() / float(node.unit)).round() if program.integers else value
    return value.to(program.device, dtype)


def _input(graph: Graph) -> Input:
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    return node


def _own(array: Array) -> Array:
    """The array where torch may see it: contiguous, and writable although nobody writes."""
    return np.require(array, requirements=["C", "W"])
