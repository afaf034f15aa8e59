"""How a module is meant, and how it is called so."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeport.tracing.registry import registered_class
from spikeport.tracing.results import chosen
from spikeport.tracing.state import Reading
from spikeport.tracing.symbols import ALL

Results = dict[int | str, Tensor]


@dataclass(frozen=True)
class Plan:
    """How a module is run."""

    reading: Reading
    shape: tuple[int, ...]
    timesteps: int | None
    coding: str
    output: int | str | None = None
    inside: bool = False  #: follow other libraries' neurons line by line
    leaks: bool = False  #: let membranes that only leak stand between layers
    low: bool = False  #: let comparisons below a threshold be layers that fire there (`membranes`)
    normed: frozenset[str] = frozenset()  #: lines where a normalisation gets membranes of loops (`membranes`)
    wide: bool = False  #: a module in float64 whose casts to float32 are taken for casts to float64
    whole: tuple[int, ...] = ()  #: the ``input_shape`` that was given, where it holds the timesteps as well

    def words(self) -> str:
        """The reading, as the user would say it."""
        time = f", input_shape {self.whole} as {self.timesteps} timesteps of {self.shape}" if self.whole else ""
        return self.reading.words() + time


def _as_it_is(x: Tensor, step: int | None) -> Tensor:
    return x


def called(
    module: nn.Module, samples: Tensor, plan: Plan, follow: Callable[[Tensor, int | None], Tensor] = _as_it_is
) -> Results:
    """What a module makes of samples, each [B, *shape] or [T, B, *shape], called as the plan says."""
    frames, way = plan.coding == "events", plan.reading.way
    for part in module.modules():
        if way == "sequence" and plan.timesteps and (kind := registered_class(part)):
            kind.lasting(part, plan.timesteps)
    if way == "sample":
        return chosen(module(follow(samples.clone(), None)), plan.output)
    if way == "sequence":
        x = samples if frames else samples.unsqueeze(0).expand(plan.timesteps or 1, *samples.shape)
        x = x.movedim(0, plan.reading.time).clone(memory_format=torch.contiguous_format)
        x = x.flatten(0, 1) if plan.reading.folded else x
        return chosen(module(follow(x, ALL)), plan.output)
    results, state = [], _stateless(module)
    for t in range(plan.timesteps or 1):
        outcome = module(follow((samples[t] if frames else samples).clone(), t), **state)
        results.append(chosen(outcome, plan.output))
        state = dict.fromkeys(state, outcome[1]) if state else state
    return {key: torch.stack([result[key] for result in results]) for key in results[0]}


def _stateless(module: nn.Module) -> dict[str, None]:
    """What a module that keeps no state itself wants back at its next call: ``forward(x, state=None)`` (Norse)."""
    parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    return {p.name: None for p in parameters[:1] if p.name in ("state", "states", "hidden") and p.default is None}
