"""Counts, exactly, what synapses and neurons do while the engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import kernels
from spikeport.engine.neuron import Fired, flat
from spikeport.engine.program import Program
from spikeport.graph import LIF, Array
from spikeport.record import Counts, Events, NeuronEvents, SynapseEvents
from spikeport.threads import over_parts


def of_synapse(program: Program, name: str, x: Tensor, steps: int) -> SynapseEvents:
    """Events of one synapse whose input is ``x`` [T or 1, B, *shape] (1: the same at every step).

    The batch is summed away first, a position at a time; what a position's inputs reach is then a product with the
    number of weights that it reaches.
    """
    analog = x.is_floating_point() and bool((x != x.round()).any())
    known = program.incoming[name]
    binary = known is not None and known.low >= 0 and known.high <= 1
    reach = program.reach(name)
    nonzero, *others = (_per_step(part @ reach, steps) for part in _positions(x, binary=binary, analog=analog))
    graded, size = others or (np.zeros_like(nonzero), nonzero)
    return SynapseEvents(
        inputs=nonzero[:, 0],
        payload=size[:, 0],
        synops=nonzero[:, 1],
        fanout=nonzero[:, 2],
        graded=graded[:, 2],
        unary=size[:, 2],
        dense=np.full(steps, int(reach[:, 2].sum()) * x.shape[1], dtype=np.int64),
        analog=analog,
        constant=x.shape[0] == 1 and steps > 1,
    )


def _per_step(counts: Array, steps: int) -> Counts:
    """Exact sums [T or 1, 3], which float64 holds below 2**53, as integers of every step."""
    return np.repeat(np.rint(counts).astype(np.int64), steps if len(counts) == 1 else 1, axis=0)


def _positions(x: Tensor, *, binary: bool, analog: bool) -> list[Array]:
    """How many of the batch are not zero, how many not of size one, and the sum of sizes: each [T, N], exact.

    The first alone where ``binary``: the others follow.
    """
    if x.is_floating_point() or x.device.type != "cpu" or x.dtype == torch.int64:
        size = x.abs().movedim(2, -1).flatten(2)
        sums = ((size != 0).sum(1), ((size != 0) & (size != 1)).sum(1), size.sum(1, dtype=torch.float64))
        nonzero, graded, total = (part.double().cpu().numpy() for part in sums)
        return [nonzero, graded, np.zeros_like(total) if analog else total]
    steps, batch = x.shape[:2]
    values = flat(x).reshape(steps, batch, -1)
    count = values.shape[2]
    some = np.zeros((steps, count), np.int32)
    if binary:
        over_parts(lambda a, b: kernels.tally_binary(values, some, a, b), count, weight=steps * batch)
        return [some]
    other, whole = np.zeros_like(some), np.zeros((steps, count), np.int64)
    run = kernels.tally_bytes if x.dtype == torch.uint8 else kernels.tally
    over_parts(lambda a, b: run(values, some, other, whole, a, b), count, weight=steps * batch)
    return [some, other, whole]


def of_neurons(node: LIF, fired: Fired, batch: int) -> NeuronEvents:
    """Events of one neuron layer."""
    updates = np.full(len(fired.count), node.size * batch, dtype=np.int64)
    return NeuronEvents(spikes=fired.count, updates=updates, active=fired.active)


def over_time(parts: Sequence[Events]) -> Events:
    """One event record of consecutive steps."""
    first = parts[0]
    if len(parts) == 1:
        return first
    joined: dict[str, Any] = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(first)
        if isinstance(getattr(first, item.name), np.ndarray)
    }
    if isinstance(first, SynapseEvents):
        joined |= {"analog": any(getattr(part, "analog", False) for part in parts), "constant": False}
    return replace(first, **joined)
