"""A plan of a sweep: which verbs with which options, which of these vary, and what is looked for. Read from TOML."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose
from spikeport.reading import line, toml_file

MOST = 100_000  #: jobs of a plan, unless it says another number
BOUND = re.compile(r"(<=|>=)\s*([-+0-9.eE]+)")
FITS = re.compile(r"\s*([^,\s]+)\s*(?:,\s*(\d+)\s*chips?)?\s*")
Value = bool | int | float | str | list[Any]
Number = Annotated[int | float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]
Seeds = Annotated[int, Field(le=MOST)] | list[int]
Options = dict[str, Any]


class Axis(BaseModel):
    """What one option goes through: ``values``; or numbers ``from`` … ``to``, both included, in steps of ``step``.

    ``points`` numbers instead of steps, evenly spread, or by equal factors where ``scale`` is log. ``when``: only where
    other axes have these values, else the option is not given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    values: list[Value] | None = None
    low: Number | None = Field(default=None, alias="from")
    high: Number | None = Field(default=None, alias="to")
    step: Annotated[Number, Field(gt=0)] | None = None
    points: int | None = Field(default=None, ge=1)
    scale: Literal["linear", "log"] = "linear"
    when: dict[str, Value] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Axis:
        numbers = self.low is not None and self.high is not None
        if (self.values is None) == (not numbers):
            raise ValueError("give values, or from and to")
        if self.scale == "log" and numbers and min(self.low or 0, self.high or 0) <= 0:
            raise ValueError("a log range is of positive numbers")
        return self

    @property
    def whole(self) -> bool:
        """Whether it goes through whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    def size(self) -> float:
        """How many values it has at most, without making any."""
        if self.values is not None:
            return len(self.values)
        assert self.low is not None
        assert self.high is not None
        return self.points or max(0.0, (self.high - self.low) / (self.step or 1) + 1)

    def grid(self) -> list[Any]:
        """All its values; none where the range is empty."""
        if self.values is not None:
            return self.values
        assert self.low is not None
        assert self.high is not None
        low, high = self.low, self.high
        if self.points is not None:
            shares = [i / max(1, self.points - 1) for i in range(self.points)] if low <= high else []
            numbers = [low * (high / low) ** s if self.scale == "log" else low + (high - low) * s for s in shares]
            return list(dict.fromkeys(round(n) if self.whole else float(f"{n:.12g}") for n in numbers))
        step = self.step or 1
        count = int((high - low) / step + 1e-9) + 1 if high >= low else 0
        return [low + i * step if self.whole else float(f"{low + i * step:.12g}") for i in range(count)]


class Search(BaseModel):
    """A search in place of the grid: Optuna's TPE, or NSGA-II for several goals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["tpe", "nsga2"] = "tpe"
    trials: int = Field(ge=1)
    seed: int = 0


class Plan(BaseModel):
    """A sweep. Tables of the verbs hold the options that stay; ``axes`` names options as ``verb.option``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "sweep"
    model: str | None = None  #: a model that is there, where nothing is trained
    verbs: dict[str, Options] = Field(default_factory=dict)  #: in a file each is a table of its own
    axes: dict[str, Axis] = Field(default_factory=dict)
    seeds: Annotated[int, Field(le=MOST)] | list[int] = (
        1  #: of the training: so many from 0, or these; the spread over them is told
    )
    goals: list[str] = Field(default_factory=list)
    constraints: dict[str, str | float] = Field(default_factory=dict)
    search: Search | None = None
    most: int = Field(default=MOST, ge=1)  #: jobs that it may have

    @property
    def bounds(self) -> dict[str, tuple[str, float]]:
        """Of constraints but ``fit``: <= or >=, and the number. A number alone is the largest that is allowed."""
        bounds = {}
        for name, text in self.constraints.items():
            if name != "fit":
                match = BOUND.fullmatch(
                    f"<= {text}" if isinstance(text, int | float) else text.strip().replace("≤", "<=")
                )
                if match is None:
                    fail("SP964", f"{name}: {text!r} is no bound", mend='write "<= 0.5" or ">= 0.9"')
                bounds[name] = match[1], float(match[2])
        return bounds

    @property
    def chip(self) -> tuple[str, int] | None:
        """Of ``fit = "loihi1, 8 chips"`` the chip and how many there are."""
        if "fit" not in self.constraints:
            return None
        match = FITS.fullmatch(str(self.constraints["fit"]))
        if match is None:
            fail("SP964", f"fit: {self.constraints['fit']!r} names no chip", mend='write "loihi1, 8 chips"')
        return match[1], int(match[2] or 1)


def read(path: Path | str, verbs: Collection[str]) -> Plan:
    """The plan in a TOML file; tables named as one of ``verbs`` are those verbs' options.

    Raises SP960 for what is no plan, with every field that does not fit.
    """
    place = Path(path)
    try:
        fields = toml_file(place)
    except FileNotFoundError:
        beside = sorted(each.name for each in place.parent.glob("*.toml"))
        mend = choose(place.name, beside) if beside else "write one: docs/howto/sweep.md has an example"
        fail("SP960", "there is no such file", where=str(path), mend=mend)
    except (OSError, ValueError) as error:
        mend = "write it in TOML: docs/howto/sweep.md shows every word"
        fail("SP960", f"is no plan ({line(error)})", where=str(path), mend=mend)
    return parse(fields, verbs, str(path))


def parse(fields: Mapping[str, Any], verbs: Collection[str], where: str = "plan") -> Plan:
    """A plan from plain values, as `read`."""
    own = {name: value for name, value in fields.items() if name not in verbs}
    tables = {name: fields[name] for name in verbs if name in fields}
    try:
        varied = own.get("axes", {}).items()
        axes = {name: axis if isinstance(axis, Mapping) else {"values": axis} for name, axis in varied}
        return Plan(**{**own, "axes": axes, "verbs": {**own.get("verbs", {}), **tables}})
    except ValidationError as error:
        raise SpikeportError([_finding(one, where, verbs) for one in error.errors()]) from None
    except (TypeError, AttributeError) as error:
        fail("SP960", f"is no plan ({error})", where=where, mend="docs/howto/sweep.md shows every word")


def _finding(error: Any, where: str, verbs: Collection[str]) -> Finding:
    field = ".".join(map(str, error["loc"]))
    known = [*Plan.model_fields, *verbs]
    mend = choose(field, known) if error["type"] == "extra_forbidden" else ""
    return Finding("SP960", f"{field}: {error['msg']}", where=where, mend=mend)
