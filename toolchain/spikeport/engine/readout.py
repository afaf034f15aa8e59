"""What an output node makes of the values that reach it: a readout's weighed sum, or spikes counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import cpu
from spikeport.engine.later import Later
from spikeport.graph import LIF, STATE_SHIFT, Array, Graph, Loihi, Peak, Readout, over_neurons, schedule_over_neurons


@dataclass(frozen=True)
class Out:
    """An output node, ready: its parameters are laid out once."""

    dtype: torch.dtype
    weight: Tensor | None  #: [T, 1, *ones or neurons]; None where values are summed
    bias: Tensor | None  #: broadcasts over [*output]; None where there is none
    counts: bool = False  #: whether it is neurons, whose spikes are counted
    highest: bool = False  #: whether it is the highest of all steps
    later: bool = False  #: whether a device computes it in its turn
    loops: bool = True  #: whether the compiled loops count

    def told(self, x: Tensor) -> Tensor:
        """What it weighs, step by step: ``x[t] + bias``, in Loihi's integers ``(x[t] << 6) + bias``."""
        x = x.to(self.dtype)
        if self.weight is not None and self.dtype == torch.int64:
            x = x << STATE_SHIFT
        return x if self.bias is None else x + self.bias

    def summed(self, x: Tensor, start: int, steps: int) -> Tensor:
        """The part of the output that the steps ``start`` ... ``start + steps - 1`` give; ``x`` [steps or 1, ...]."""
        if self.weight is None:
            return x.to(self.dtype).expand(steps, *x.shape[1:]).sum(0)
        return (self.weight[start : start + steps] * self.told(x)).sum(0)


@dataclass
class Results:
    """What one batch has come to so far, by output node."""

    outs: Mapping[str, Out]
    arrays: Mapping[str, Array]  #: [B, *output], where it goes
    on_card: dict[str, Later[Array]] = field(default_factory=dict)  #: [B, *output], which a card may still compute

    def add(self, name: str, x: Tensor, start: int, steps: int) -> None:
        """Add what some steps of an output node, from ``start`` on, give; at step 0 put it there."""
        out = self.outs[name]
        if out.later:
            self._add_later(name, x.amax(0) if out.highest else out.summed(x, start, steps))
            return
        array = self.arrays[name]
        if out.highest:
            highest = x.amax(0).numpy()
            array[:] = highest if start == 0 else np.maximum(array, highest)
            return
        if out.counts:
            counts = array if out.dtype == torch.int64 and start == 0 else np.empty(array.shape, np.int64)
            if out.loops:
                cpu.count(x, counts)
            else:
                counts[:] = x.sum(0, dtype=torch.int64).numpy()
            if counts is not array:
                array[:] = counts if start == 0 else array + counts
            return
        sums = out.summed(x, start, steps)
        array[:] = sums.numpy() if start == 0 else array + sums.numpy()

    def _add_later(self, name: str, part: Tensor) -> None:
        if name in self.on_card:
            (before,) = self.on_card[name].there
            part = torch.maximum(before, part) if self.outs[name].highest else before + part
        self.on_card[name] = Later((part,), np.asarray)

    def fetch(self) -> None:
        """Wait for a card that still computes, and put its results where they go."""
        for name, sums in self.on_card.items():
            self.arrays[name][:] = sums()


def prepare(graph: Graph, name: str, dtype: torch.dtype, device: str, *, later: bool, loops: bool) -> Out:
    """An output node of a graph; ``dtype``: of real numbers; ``later`` and ``loops``: as `Out`."""
    node = graph.nodes[name]
    dtype = torch.int64 if isinstance(graph.arithmetic, Loihi) else dtype
    if not isinstance(node, Readout):
        highest = isinstance(node, Peak)
        return Out(dtype, None, None, isinstance(node, LIF) and not highest, highest, later, loops)
    weight = torch.as_tensor(np.array(schedule_over_neurons(node.weight, node.shape))).to(device, dtype).unsqueeze(1)
    bias = torch.as_tensor(np.array(over_neurons(node.bias, node.shape))).to(device, dtype)
    idle = dtype == torch.int64 and not node.bias.any()
    return Out(dtype, weight, None if idle else bias, later=later)


def told(graph: Graph, outs: Mapping[str, Out], x: Tensor) -> Array:
    """What goes out of the last node, step by step, as `endless.Block` has it; ``x`` [steps or 1, B, ...]."""
    node = graph.nodes[graph.output]
    if isinstance(node, LIF):
        return np.ascontiguousarray(x.to(torch.uint8 if node.most_spikes == 1 else torch.int64).cpu().numpy())
    return np.ascontiguousarray(outs[graph.output].told(x).cpu().numpy())
