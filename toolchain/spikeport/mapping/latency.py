"""How long a step and a sample take on a chip, from a mapping and the counted events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport.costs.model import Range
from spikeport.files import plain
from spikeport.mapping.fit import Fit
from spikeport.mapping.placement import Mapping as Placement
from spikeport.mapping.traffic import Work
from spikeport.record import NeuronEvents, Record


@dataclass(frozen=True)
class Latency:
    """Modelled times in seconds; time on the mesh is left out."""

    steps: tuple[Range, ...]  #: of each timestep: the busiest core's work, and the barrier
    timesteps: int
    depth: int  #: synaptic layers on the longest path: steps until the first output of a pipeline
    bottleneck: str  #: the layer whose cores work longest

    @property
    def step(self) -> Range:
        """Mean of a step."""
        total = self.steps[0]
        for each in self.steps[1:]:
            total = total + each
        return total * (1 / len(self.steps))

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
            f"One step is modelled to take {self.step.nominal * 1e6:.3g} µs (bottleneck {self.bottleneck}; a host that "
            "feeds or reads every step takes longer, and is not in it). In a row, "
            f"{self.pipelined.nominal:,.0f} samples per second; one alone takes {self.timesteps} + {self.depth} steps, "
            f"{self.sample.nominal * 1e6:.3g} µs, and {total / self.timesteps:.3g} times the static and host energy."
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
            "step_seconds": plain(self.step),
            "step_seconds_each": plain(self.steps),
            "sample_seconds": plain(self.sample),
            "samples_per_second_pipelined": plain(self.pipelined),
            "timesteps": self.timesteps,
            "depth": self.depth,
            "bottleneck": self.bottleneck,
            "sentence": self.sentence,
        }


def latency(mapping: Placement, record: Record, work: Mapping[str, Work]) -> Latency | None:
    """The times of a run, per sample; None for a chip without published timing.

    A core's step: its operations * time + its updates * time, each constant at its low, value and high (low: all
    updates inactive, high: all active); the step of the chip: its busiest core, and the barrier (the one across chips
    if there are several). ``work`` are the operations of every core, summed over samples (`spikeport.mapping.work`):
    the busiest core is that of the mean over samples.
    """
    fit = mapping.fit
    timing = fit.chip.timing
    if not {"synaptic_operation", "update_active", "update_inactive", "barrier"} <= set(timing):
        return None
    across = fit.chips > 1 and "barrier_chips" in timing
    barrier = timing["barrier_chips" if across else "barrier"].si
    seconds = {name: _seconds(mapping, name, record, work[name]) for name in fit.layers}
    busiest = [np.max([rows[bound].max(1) for rows in seconds.values()], axis=0) for bound in range(3)]
    slowest = max(seconds, key=lambda name: float(seconds[name][1].max(1).mean()))
    steps = tuple(
        Range(float(low), float(nominal), float(high)) + barrier for low, nominal, high in zip(*busiest, strict=True)
    )
    return Latency(steps, mapping.graph.timesteps, depth(fit), slowest)


def _seconds(mapping: Placement, name: str, record: Record, work: Work) -> tuple[NDArray[np.float64], ...]:
    """Seconds that each core of a layer works in each step: low, nominal, high, each [T, cores].

    Which neurons of a layer are active is taken as even over its cores.
    """
    timing = {each: constant.si for each, constant in mapping.chip.timing.items()}
    operation, on, off = (timing[name] for name in ("synaptic_operation", "update_active", "update_inactive"))
    done = work / record.samples
    cores = mapping.core_of(name).ravel() - mapping.first[name]
    updates = np.bincount(cores, minlength=work.shape[1])[None, :]
    fired = record.events.get(name)
    share = np.ones((len(work), 1))
    if isinstance(fired, NeuronEvents):
        share = (fired.active / fired.updates)[:, None]
    return (
        done * operation.low + updates * off.low,
        done * operation.nominal + updates * (share * on.nominal + (1 - share) * off.nominal),
        done * operation.high + updates * on.high,
    )


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
