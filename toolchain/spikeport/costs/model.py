"""A cost model: a data file of constants, each with value, range, unit, source and basis, and their function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spikeport.costs.datafile import checked, read, shipped_texts, toml
from spikeport.findings import Finding, fail

#: what one of each unit is in SI units
UNITS = {
    "pJ": 1e-12,
    "nJ": 1e-9,
    "uJ": 1e-6,
    "mJ": 1e-3,
    "J": 1.0,
    "mW": 1e-3,
    "W": 1.0,
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "byte": 1.0,
    "1": 1.0,
}

Basis = Literal["silicon-fit", "simulated", "literature", "derived", "measured", "assumed"]
Unit = Literal["pJ", "nJ", "uJ", "mJ", "J", "mW", "W", "ns", "us", "ms", "s", "byte", "1"]


class Constant(BaseModel):
    """One number of a cost model; `low` and `high` bound it, `basis` says how it was obtained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float = Field(ge=0, allow_inf_nan=False)
    low: float = Field(ge=0, allow_inf_nan=False)
    high: float = Field(ge=0, allow_inf_nan=False)
    unit: Unit
    basis: Basis
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low <= value <= high does not hold: {self.low:g}, {self.value:g}, {self.high:g}")
        return self

    @property
    def si(self) -> Range:
        """Low, nominal and high in SI units."""
        return Range(self.low, self.value, self.high) * UNITS[self.unit]


class Model(BaseModel):
    """A cost model as its file states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    title: str = Field(min_length=1)
    function: str = Field(min_length=1)  #: which function of the events prices with these constants
    about: str = Field(min_length=1)
    chip: str | None = None  #: of `spikeport fit`, whose mapping says how long a step takes
    held: str = ""  #: how far it was from measured chips, in a sentence
    on_request: bool = False  #: whether it is left out unless it is named
    constants: Mapping[str, Constant]

    def __getitem__(self, name: str) -> Range:
        return self.constants[name].si


@dataclass(frozen=True, slots=True)
class Range:
    """A number and how far it may be off, downwards and upwards."""

    low: float
    nominal: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def __mul__(self, factor: Range | float) -> Range:
        by = factor if isinstance(factor, Range) else Range(factor, factor, factor)
        return Range(self.low * by.low, self.nominal * by.nominal, self.high * by.high)


def exactly(value: float) -> Range:
    """A number that is known."""
    return Range(value, value, value)


#: models that went, by name: what stands in, and why
REPLACED = {
    "loihi2-bracket": (
        "loihi2-pilotnet",
        "the bracket did not bracket: PilotNet took 3.3 times its high on the chip (lava-dl's benchmark).",
    )
}


@cache
def shipped() -> dict[str, Model]:
    """The models that come with spikeport, by name."""
    return {
        name: parse(text, name, f"{name}.toml") for name, text in shipped_texts("spikeport.costs", "models").items()
    }


def find(name: str | Path | Model) -> Model:
    """A model by its name or by the path of a TOML file.

    Raises SP701 for a name that there is not, SP702 for a file that is not TOML, SP703 for one whose fields are wrong.
    """
    if isinstance(name, Model):
        return name
    known = REPLACED.get(str(name), (str(name), ""))[0]
    if known in shipped():
        return shipped()[known]
    path = Path(name)
    return parse(read(path, "SP701", "cost model", shipped()), path.stem, str(path))


def replaced(name: str | Path | Model) -> Finding | None:
    """What is said where a name of an earlier version is asked for and another model stands in."""
    if str(name) not in REPLACED:
        return None
    other, why = REPLACED[str(name)]
    return Finding(
        "SP710",
        f"priced by {other!r} instead",
        where=f"cost model {str(name)!r}",
        why=why,
        mend=f"use {other!r}",
        severity="substituted",
    )


def parse(text: str, name: str, where: str) -> Model:
    """The model in a TOML text. Raises SP702 where it is no TOML, SP703 with each wrong field's line."""
    plain = toml(text, where)
    if not isinstance(plain.get("constants", {}), dict) or "id" in plain:
        fail("SP703", "'constants' is a table, and 'id' is not a field", where=where, mend="see docs/costs")
    return checked(Model, {**plain, "id": name}, text, where)
