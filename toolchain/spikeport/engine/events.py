"""Counts, exactly, what synapses and neurons do while the engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import cpu
from spikeport.engine.neuron import Fired
from spikeport.engine.program import Program, Reach
from spikeport.graph import LIF, Array
from spikeport.record import Events, NeuronEvents, SynapseEvents


def of_synapse(program: Program, name: str, x: Tensor, steps: int) -> SynapseEvents:
    """Events of one synapse whose input is ``x`` [T or 1, B, *shape] (1: the same at every step).

    The batch is summed away first, and with it the places that reach as many weights; what the inputs reach is then a
    product with the number of weights that each reaches.
    """
    analog = x.is_floating_point() and bool((x != x.round()).any())
    known, reach = program.incoming[name], program.reach(name)
    if x.dtype == torch.uint8 and x.device.type == "cpu":
        spikes = known is not None and known.low >= 0 and known.high <= 1
        counts = cpu.reached(x, reach.kinds, reach.table, spikes=spikes)
    else:
        counts = _reached(x, reach, analog=analog)
    counts = np.repeat(counts, steps, axis=1) if x.shape[0] < steps else counts
    (inputs, synops, fanout), (_, _, graded), (payload, _, unary) = counts.transpose(0, 2, 1)
    return SynapseEvents(
        inputs=inputs,
        payload=payload,
        synops=synops,
        fanout=fanout,
        graded=graded,
        unary=unary,
        dense=np.full(steps, reach.every * x.shape[1], dtype=np.int64),
        analog=analog,
        constant=program.graph.timesteps > 1 and program.steady.issuperset(program.graph.sources(name)),
    )


def _reached(x: Tensor, reach: Reach, *, analog: bool) -> Array:
    """`cpu.reached` of any numbers on any device; of analog ones no sizes."""
    size = x.abs().movedim(2, -1).flatten(2)
    sums = ((size != 0).sum(1), ((size != 0) & (size != 1)).sum(1), size.sum(1, dtype=torch.float64))
    by_input = reach.table[:, reach.kinds].reshape(3, -1).T
    nonzero, graded, total = (part.cpu().numpy().astype(np.int64) @ by_input for part in sums)
    return np.stack([nonzero, graded, np.zeros_like(total) if analog else total])


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
    whole = replace(first, **joined)
    if isinstance(whole, SynapseEvents):
        return whole.with_analog(any(getattr(part, "analog", False) for part in parts))
    return whole
