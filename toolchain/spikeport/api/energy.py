"""``spikeport energy``: what a sample costs under named cost models, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeport.api.events import events
from spikeport.api.load import Model, load_model
from spikeport.energy import Estimate, Verdict, counts, estimate, find, shipped, verdicts
from spikeport.energy.estimate import function_of
from spikeport.energy.model import Model as CostModel
from spikeport.graph import Array, Graph
from spikeport.targets import Progress as Callback
from spikeport.targets import silent


@dataclass(frozen=True)
class Costs:
    """Estimates by model, and who wins where SNN and ANN are priced by the same one."""

    model: str
    target: str
    samples: int
    timesteps: int
    rate: float  #: measured spikes per neuron and step
    estimates: Mapping[str, Estimate]
    verdicts: Mapping[str, Verdict]

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON; energies in joule per sample."""
        return {
            "model": self.model,
            "target": self.target,
            "samples": self.samples,
            "timesteps": self.timesteps,
            "firing_rate": self.rate,
            "energy_joule_per_sample": {name: found.as_dict() for name, found in self.estimates.items()},
            "verdicts": {name: found.as_dict() for name, found in self.verdicts.items()},
        }


def energy(
    model: Model | Graph | Path | str,
    data: str | None = None,
    *,
    samples: Array | Path | str | None = None,
    split: str = "test",
    target: str | None = None,
    limit: int | None = None,
    batch: int | None = None,
    models: Sequence[str | Path | CostModel] = (),
    chips: int = 1,
    step_seconds: float | None = None,
    progress: Callback = silent,
) -> Costs:
    """Count the events of a run and price them.

    ``models`` are added to the shipped ones (those that are for on request only are priced if named here). Raises
    SP701 ... SP705 for a cost model that cannot be used, before anything runs, and what `events` raises.
    """
    wanted = [*(each for each in shipped().values() if not each.on_request), *map(find, models)]
    chosen = {each.id: each for each in wanted}
    for each in chosen.values():
        function_of(each)
    counted = events(
        load_model(model), data, samples=samples, split=split, target=target, limit=limit, batch=batch,
        progress=progress,
    )  # fmt: skip
    graph, record = counted.model.graph, counted.record
    found = estimate(graph, record, list(chosen.values()), chips=chips, step_seconds=step_seconds)
    rate = counts(graph, record).rate
    return Costs(counted.model.name, record.target, record.samples, graph.timesteps, rate, found, verdicts(found, rate))
