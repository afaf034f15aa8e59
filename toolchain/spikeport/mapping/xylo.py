"""Chips with one population of neurons, Xylo's: how much of each of their limits a graph takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from spikeport.costs.datafile import shipped
from spikeport.graph import Graph, Loihi
from spikeport.mapping.population import Layout, layout

#: limits, as a table names them
LIMITS = {
    "inputs": "input channels",
    "input_reach": "hidden neurons that the input reaches",
    "hidden": "hidden neurons",
    "fan_out": "hidden neurons that one reaches",
    "weights": "weights among hidden neurons",
    "outputs": "output neurons",
    "output_reach": "hidden neurons that reach the output",
}


class Population(BaseModel):
    """A chip as its file states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    title: str = Field(min_length=1)
    about: str = Field(min_length=1)
    source: str = Field(min_length=1)
    inputs: int = Field(ge=1)
    input_reach: int = Field(ge=1)
    hidden: int = Field(ge=1)
    fan_out: int = Field(ge=1)
    weights: int = Field(ge=1)
    outputs: int = Field(ge=1)
    output_reach: int = Field(ge=1)


@cache
def populations() -> dict[str, Population]:
    """The chips of this kind that come with spikeport, by name."""
    return shipped(Population, "spikeport.mapping", "populations")


@dataclass(frozen=True)
class Filling:
    """What a graph takes of a chip."""

    chip: Population
    needs: Mapping[str, int]  #: by limit; nothing where the graph has no place
    refused: tuple[str, ...]  #: what has no place, whatever the chip's size

    @property
    def over(self) -> tuple[str, ...]:
        """The limits that are passed."""
        return tuple(name for name, need in self.needs.items() if need > getattr(self.chip, name))

    @property
    def status(self) -> Literal["fits", "does not fit"]:
        """Whether it has a place, within all limits."""
        return "does not fit" if self.refused or self.over else "fits"

    @property
    def sentence(self) -> str:
        """The verdict, as it is printed."""
        passed = [f"{self.needs[name]:,} {LIMITS[name]} of {getattr(self.chip, name):,}" for name in self.over]
        reasons = "; ".join([*self.refused, *passed])
        return f"{self.chip.title}: {self.status}{f': {reasons}' if reasons else ''}."

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        limits = {
            name: {"needs": need, "has": getattr(self.chip, name), "utilisation": need / getattr(self.chip, name)}
            for name, need in self.needs.items()
        }
        facts = {"chip": self.chip.id, "status": self.status, "sentence": self.sentence}
        return facts | {"limits": limits, "refused": list(self.refused)}


def fill(graph: Graph, chip: Population) -> Filling:
    """What a graph of whole numbers takes of a chip: weights that are zero take nothing."""
    if not isinstance(graph.arithmetic, Loihi):
        return Filling(chip, {}, ("it holds real numbers; spikeport quantize --profile xylo makes its integers",))
    place, findings = layout(graph)
    if place is None:
        return Filling(chip, {}, tuple(f"{finding.where}: {finding.what}" for finding in findings))
    return Filling(chip, _needs(place), ())


def _needs(place: Layout) -> dict[str, int]:
    into, among, out = (place.weights[name] != 0 for name in ("input", "hidden", "out"))
    return {
        "inputs": len(into),
        "input_reach": int(np.count_nonzero(into.any(0))),
        "hidden": len(among),
        "fan_out": int(among.sum(1).max(initial=0)),
        "weights": int(among.sum()),
        "outputs": out.shape[1],
        "output_reach": int(np.count_nonzero(out.any(1))),
    }
