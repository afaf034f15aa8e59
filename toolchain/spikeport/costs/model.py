"""A cost model: a data file of constants, each with value, range, unit, source and basis, and their function."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spikeport.findings import Finding, SpikeportError, fail

M = TypeVar("M", bound=BaseModel)

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

    def as_dict(self) -> dict[str, float]:
        """The three numbers by name."""
        return {"low": self.low, "nominal": self.nominal, "high": self.high}


def exactly(value: float) -> Range:
    """A number that is known."""
    return Range(value, value, value)


@cache
def shipped() -> dict[str, Model]:
    """The models that come with spikeport, by name."""
    folder = files("spikeport.costs") / "models"
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    texts = {entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8") for entry in entries}
    return {name: parse(text, name, f"{name}.toml") for name, text in texts.items()}


def find(name: str | Path | Model) -> Model:
    """A model by its name or by the path of a TOML file.

    Raises SP701 for a name that there is not, SP702 for a file that is not TOML, SP703 for one whose fields are wrong.
    """
    if isinstance(name, Model):
        return name
    if str(name) in shipped():
        return shipped()[str(name)]
    path = Path(name)
    if path.suffix != ".toml":
        fail(
            "SP701",
            f"there is no cost model {str(name)!r}",
            mend=f"choose one of: {', '.join(shipped())}; or pass the path of a .toml file",
        )
    try:
        return parse(path.read_text(encoding="utf-8"), path.stem, str(path))
    except FileNotFoundError:
        fail("SP701", "there is no such file", where=str(path), mend=f"the models there are: {', '.join(shipped())}")
    except (OSError, UnicodeDecodeError) as error:
        fail("SP702", f"cannot be read ({error})", where=str(path))


def parse(text: str, name: str, where: str) -> Model:
    """The model in a TOML text. Raises SP702 where it is no TOML, SP703 with each wrong field's line."""
    plain = _toml(text, where)
    if not isinstance(plain.get("constants", {}), dict) or "id" in plain:
        fail("SP703", "'constants' is a table, and 'id' is not a field", where=where, mend="see docs/costs")
    return checked(Model, {**plain, "id": name}, text, where)


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fail("SP702", f"is not TOML: {error}", where=where, mend="mend the line named")


def checked(kind: type[M], plain: Mapping[str, Any], text: str, where: str) -> M:
    """``plain`` as a pydantic model. Raises SP703 with one finding, file and line for each wrong field."""
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        raise SpikeportError(
            Finding(
                "SP703",
                f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}",
                where=f"{where}:{line_of(text, problem['loc'])}",
                why="a number without unit, range or source cannot be checked by whoever reads the report.",
                mend="give each constant value, low, high, unit, basis and source, none of them negative",
            )
            for problem in error.errors()
        ) from None


def line_of(text: str, location: Sequence[str | int]) -> int:
    """The line (from 1) of a key in a TOML text, or of the table it is missing from."""
    path = [str(part) for part in location]
    table: list[str] = []
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = stripped.split("]")[0].strip("[] ").replace('"', "").split(".")
            here = table
        elif "=" in stripped and not stripped.startswith("#"):
            here = [*table, *stripped.split("=")[0].strip().replace('"', "").split(".")]
        else:
            continue
        if here == path[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best
