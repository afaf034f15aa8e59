"""Samples on their way in: checked, cut into batches, and made integers where the graph computes with integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import kernels
from spikeport.engine.program import Program
from spikeport.engine.ranges import Range
from spikeport.findings import fail
from spikeport.graph import Array, Graph, Input, Loihi
from spikeport.targets import check_input
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
    ends = (float(samples.min()), float(samples.max())) if samples.size else (0.0, 0.0)
    low, high = sorted(int(np.rint(end / unit)) for end in ends)  # rounding keeps the order
    if low < node.low or high > node.high:
        fail(
            "SP504",
            f"input spans {low} ... {high} units of {unit:g}, the graph was made for {node.low:g} ... {node.high:g}",
            where=f"node {graph.input!r}",
            mend="scale the input as the calibration data were, or quantise again with data that span it",
        )
    finite = np.isfinite(node.low), np.isfinite(node.high)
    return total, Range(int(node.low) if finite[0] else low, int(node.high) if finite[1] else high)


def cut(graph: Graph, samples: Array, start: int, stop: int) -> Array:
    """Some of the samples."""
    return samples[:, start:stop] if _input(graph).coding == "events" else samples[start:stop]


def values(program: Program, samples: Array) -> Tensor:
    """The samples as [T or 1, B, *input]: integers in units of the input, or floats of the graph's type."""
    node, dtype = _input(program.graph), program.entering[program.graph.input]
    if program.integers:
        value = torch.from_numpy(_whole(samples, float(node.unit), dtype))
    else:
        value = torch.as_tensor(np.ascontiguousarray(samples)).to(dtype)
    return (value if node.coding == "events" else value.unsqueeze(0)).to(program.device)


def _input(graph: Graph) -> Input:
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    return node


def _whole(samples: Array, unit: float, dtype: torch.dtype) -> Array:
    """``round(samples / unit)``, ties to even, computed in float64."""
    kind: Any = np.dtype(str(dtype).removeprefix("torch."))
    if unit == 1 and samples.dtype.kind in "iub":
        return np.ascontiguousarray(samples.astype(kind, copy=False))
    flat = np.ascontiguousarray(samples).reshape(-1)
    out = np.empty(flat.shape, kind)
    over_parts(lambda a, b: kernels.whole(flat, unit, out, a, b), flat.size)
    return out.reshape(samples.shape)
