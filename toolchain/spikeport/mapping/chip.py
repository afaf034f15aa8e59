"""A chip as a data file: its limits, each with a unit and a source, and those that are not public, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from spikeport.costs.datafile import checked, read, shipped_texts, toml
from spikeport.costs.model import Constant
from spikeport.findings import fail

#: limits that a chip states, or names as unknown where it may
LIMITS = ("cores", "neurons", "synapse_memory", "neuron_state", "list_synapses", "list_header", "chips")
MAY_BE_UNKNOWN = ("output_axons", "input_axons")


class Limit(BaseModel):
    """One limit of a chip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: int = Field(ge=0)
    unit: str = Field(min_length=1)
    source: str = Field(min_length=1)


class Mesh(BaseModel):
    """How the cores of one chip lie: tiles in columns and rows, some cores in each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: int = Field(ge=1)
    rows: int = Field(ge=1)
    cores_per_tile: int = Field(ge=1)
    source: str = Field(min_length=1)


class Compiled(BaseModel):
    """How the vendor's compiler cuts layers, read from its logs (`spikeport.mapping.compiled` has the rules)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    synapse_bits: Constant  #: of a matrix's synapse in its list; a convolution keeps each kernel once a core
    source: str = Field(min_length=1)


class Chip(BaseModel):
    """A chip as its file states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    title: str = Field(min_length=1)
    about: str = Field(min_length=1)
    weight_bits: int = Field(ge=1, le=16)  #: of a weight where the graph does not say
    schedules: bool  #: whether its neurons change their thresholds with time by themselves
    lower_bounds: bool = True  #: whether its membranes may end at a value from below
    limits: Mapping[str, Limit]
    unknown: Mapping[str, str] = Field(default_factory=dict)  #: limits that are not public, and why they matter
    mesh: Mesh
    timing: Mapping[str, Constant] = Field(default_factory=dict)
    fitted: Mapping[str, Constant] = Field(default_factory=dict)  #: times fitted to silicon (`replayed` has the terms)
    compiled: Compiled | None = None  #: None: tiles are searched for the fewest cores

    def __getitem__(self, name: str) -> int:
        return self.limits[name].value


@cache
def shipped() -> dict[str, Chip]:
    """The chips that come with spikeport, by name."""
    return {
        name: parse(text, name, f"{name}.toml") for name, text in shipped_texts("spikeport.mapping", "chips").items()
    }


def find(name: str | Path | Chip) -> Chip:
    """A chip by its name or by the path of a TOML file.

    Raises SP721 for one that there is not, SP702 and SP703 for a file that is wrong, with the line.
    """
    chips = shipped()
    if isinstance(name, Chip):
        return name
    path = Path(name)
    return chips.get(str(name)) or parse(read(path, "SP721", "chip", chips), path.stem, str(path))


def parse(text: str, name: str, where: str) -> Chip:
    """The chip in a TOML text. Raises SP702 where it is no TOML, SP703 with each wrong field's line."""
    chip = checked(Chip, {**toml(text, where), "id": name}, text, where)
    missing = [limit for limit in LIMITS if limit not in chip.limits]
    missing += [limit for limit in MAY_BE_UNKNOWN if limit not in chip.limits and limit not in chip.unknown]
    extra = sorted((set(chip.limits) | set(chip.unknown)) - {*LIMITS, *MAY_BE_UNKNOWN})
    if missing or extra:
        fail(
            "SP703",
            f"limits: {'lacks ' + ', '.join(missing) if missing else 'does not know ' + ', '.join(extra)}",
            where=where,
            why="a limit that is not checked would look like one that is kept.",
            mend=f"{', '.join(MAY_BE_UNKNOWN)} may stand under [unknown], with the reason",
        )
    return chip
