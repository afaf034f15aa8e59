"""How long a step and a sample take on a chip, from a mapping and the counted events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport.energy.model import Range
from spikeport.fit.fit import Fit
from spikeport.fit.layers import Layer
from spikeport.graph import Graph, Input
from spikeport.record import NeuronEvents, Record, SynapseEvents


@dataclass(frozen=True)
class Latency:
    """Modelled times in seconds. Work is taken as even over a layer's cores; time on the mesh is left out."""

    step: Range  #: mean of a step: the busiest core's work, and the barrier
    timesteps: int
    depth: int  #: synaptic layers on the longest path: steps until the first output of a pipeline
    bottleneck: str  #: the layer whose cores work longest

    @property
    def sample(self) -> Range:
        """From the first input to the last output of one sample: (timesteps + depth) steps."""
        return self.step * float(self.timesteps + self.depth)

    @property
    def pipelined(self) -> Range:
        """Samples per second when they follow each other without a gap: one every `timesteps` steps."""
        return Range(*(1 / (self.timesteps * t) for t in (self.step.high, self.step.nominal, self.step.low)))

    @property
    def sentence(self) -> str:
        """What dominates, as it is printed."""
        total = self.timesteps + self.depth
        text = (
            f"One step takes {self.step.nominal * 1e6:.3g} us (bottleneck {self.bottleneck}); a sample takes "
            f"{self.timesteps} + {self.depth} steps, {self.sample.nominal * 1e6:.3g} us; pipelined, "
            f"{self.pipelined.nominal:,.0f} samples per second."
        )
        if self.depth >= self.timesteps:
            text += (
                f" The pipeline's depth dominates: {self.depth} of {total} steps only fill it, so the latency of one "
                "sample hardly gains from fewer timesteps."
            )
        return text

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON; seconds."""
        return {
            "step_seconds": self.step.as_dict(),
            "sample_seconds": self.sample.as_dict(),
            "samples_per_second_pipelined": self.pipelined.as_dict(),
            "timesteps": self.timesteps,
            "depth": self.depth,
            "bottleneck": self.bottleneck,
            "sentence": self.sentence,
        }


def latency(graph: Graph, fit: Fit, record: Record) -> Latency | None:
    """The times of a run, per sample; None for a chip without published timing.

    A core's step: operations * time + updates * time (low: all inactive, high: all active); the step of the chip: its
    busiest core, and the barrier (the one across chips if there are several).
    """
    timing = fit.chip.timing
    if not {"synaptic_operation", "update_active", "update_inactive", "barrier"} <= set(timing):
        return None
    across = fit.chips > 1 and "barrier_chips" in timing
    barrier = timing["barrier_chips" if across else "barrier"].si
    work = {name: _work(graph, fit, name, layer.layer, record) for name, layer in fit.layers.items()}
    busiest = [np.max([rows[bound] for rows in work.values()], axis=0) for bound in range(3)]
    low, nominal, high = (float(each.mean()) for each in busiest)
    slowest = max(work, key=lambda name: float(work[name][1].mean()))
    return Latency(Range(low, nominal, high) + barrier, graph.timesteps, depth(fit), slowest)


def _work(graph: Graph, fit: Fit, name: str, layer: Layer, record: Record) -> tuple[NDArray[np.float64], ...]:
    """Seconds that a core of a layer works in each step: low, nominal, high, each [T]."""
    timing = {each: constant.si for each, constant in fit.chip.timing.items()}
    parts = fit.layers[name].tile.cores * record.samples
    operations = np.zeros(graph.timesteps)
    for projection in layer.projections:
        found = record.events.get(projection.synapse)
        if isinstance(found, SynapseEvents):
            framed = any(isinstance(graph.nodes[sender], Input) for sender in projection.senders)
            operations = operations + (found.fanout if framed or found.analog else found.unary)
    busy = operations / parts * timing["synaptic_operation"].nominal
    fired = record.events.get(name)
    updates = np.full(graph.timesteps, layer.neurons / fit.layers[name].tile.cores)
    active = fired.active / parts if isinstance(fired, NeuronEvents) else updates
    on, off = timing["update_active"].nominal, timing["update_inactive"].nominal
    return busy + updates * off, busy + active * on + (updates - active) * off, busy + updates * on


def depth(fit: Fit) -> int:
    """Synaptic layers on the longest path through the network; feedback does not count."""
    return max(depths(fit).values(), default=0)


def depths(fit: Fit) -> dict[str, int]:
    """Of each layer, the synaptic layers on the longest path to it: steps by which a pipeline delays its spikes."""
    steps: dict[str, int] = {}
    for name, layer in fit.layers.items():
        before = [steps.get(sender, 0) for projection in layer.layer.projections for sender in projection.senders]
        steps[name] = 1 + max(before, default=0)
    return steps
