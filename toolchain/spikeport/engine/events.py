"""Counts, exactly, what synapses and neurons do while the engine runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import cpu, cuda
from spikeport.engine.later import Later
from spikeport.engine.neuron import Counted
from spikeport.engine.program import Program, Reach
from spikeport.graph import LIF, Array
from spikeport.record import Events, NeuronEvents, SynapseEvents


def of_synapse(program: Program, name: str, x: Tensor, steps: int) -> Callable[[], SynapseEvents]:
    """Events of one synapse whose input is ``x`` [T or 1, B, *shape] (1: the same at every step).

    They are counted at once, or by a card in its turn; what comes back reads them, and waits for the card.
    """
    reach, batch = program.reach(name), x.shape[1]
    constant = program.graph.timesteps > 1 and program.steady.issuperset(program.graph.sources(name))

    def told(counts: Array, analog: bool) -> SynapseEvents:
        counts = np.repeat(counts, steps, axis=1) if counts.shape[1] < steps else counts
        (inputs, synops, fanout), (_, _, graded), (payload, _, unary) = counts.transpose(0, 2, 1)
        return SynapseEvents(
            inputs=inputs,
            payload=payload,
            synops=synops,
            fanout=fanout,
            graded=graded,
            unary=unary,
            dense=np.full(steps, reach.every * batch, dtype=np.int64),
            analog=analog,
            constant=constant,
        )

    counted = _counted(program, name, x)
    if isinstance(counted, Later):
        made = counted.made
        return Later(counted.there, lambda *numbers: told(*made(*numbers)))
    return lambda: told(*counted())


#: [3, T, 3] as `cpu.reached`, and whether the input is analog, so that it has no sizes
Counting = Callable[[], tuple[Array, bool]]


def _counted(program: Program, name: str, x: Tensor) -> Counting:
    known, reach = program.incoming[name], program.reach(name)
    spikes = known is not None and known.low >= 0 and known.high <= 1
    if program.kernels == "triton" and not x.is_floating_point():
        if name not in program.tallies:
            program.tallies[name] = cuda.reached(reach.kinds, reach.table, program.device, spikes=spikes)
        sums = program.tallies[name](x)
        return Later((sums,), lambda counts: (counts, False))
    if x.dtype == torch.uint8 and program.kernels == "fast":
        counts = cpu.reached(x, reach.kinds, reach.table, spikes=spikes)
        return lambda: (counts, False)
    return _reached(x, reach)


def _reached(x: Tensor, reach: Reach) -> Counting:
    """`cpu.reached` of any numbers on any device: the batch is summed away first, then the places of a kind."""
    analog = (x != x.round()).any() if x.is_floating_point() else torch.zeros((), dtype=torch.bool, device=x.device)
    size = x.abs().movedim(2, -1).flatten(2)
    sums = ((size != 0).sum(1), ((size != 0) & (size != 1)).sum(1), size.sum(1, dtype=torch.float64))
    by_input = reach.table[:, reach.kinds].reshape(3, -1).T

    def made(analog: Array, *sums: Array) -> tuple[Array, bool]:
        nonzero, graded, total = (part.astype(np.int64) @ by_input for part in sums)
        return np.stack([nonzero, graded, np.zeros_like(total) if analog else total]), bool(analog)

    return Later((analog, *sums), made)


def of_neurons(node: LIF, counted: Counted, batch: int) -> NeuronEvents:
    """Events of one neuron layer."""
    updates = np.full(len(counted.spikes), node.size * batch, dtype=np.int64)
    return NeuronEvents(spikes=counted.spikes, updates=updates, active=counted.active)


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
