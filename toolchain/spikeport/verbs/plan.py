"""A recipe for a whole run: which training recipe, and what comes after it, in one TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikeport.findings import Finding, SpikeportError, fail

LAVA_SAMPLES = 32  #: Lava has no batches: a checked subset of the test split


class Quantising(BaseModel):
    """How the trained network becomes integers; the names are those of `spikeport.quantize`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight_bits: int | dict[str, int] | Literal["auto"] = 8
    profile: str = "loihi2"
    calibration: int = Field(default=512, ge=1)
    thresholds: Literal["mean", "first"] | None = None
    fine_tune: int = Field(default=0, ge=0)
    max_drop: float = Field(default=0.5, ge=0)


class Plan(BaseModel):
    """A whole run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str  #: of the training: a shipped one's name, or a TOML file beside this one
    method: str | None = None
    train: dict[str, Any] = Field(default_factory=dict)  #: fields of the training recipe to replace
    quantize: Quantising = Quantising()
    lava_samples: int = Field(default=LAVA_SAMPLES, ge=0)
    time_limit: float | None = Field(default=None, gt=0)  #: seconds that Lava may take
    chip: str = "loihi1"  #: of the core map, messages, hops and step times


def read(recipe: str | Path) -> Plan:
    """The plan in a TOML file that names a ``recipe``; for a training recipe, by name or file, the usual plan.

    Raises SP312 for a plan that is wrong, with every field; what is no plan is left to the training to judge.
    """
    path = Path(recipe)
    if path.suffix != ".toml" or not path.is_file():
        return Plan(recipe=str(recipe))
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        fail("SP312", f"is not TOML ({error})", where=str(path))
    if "recipe" not in fields:
        return Plan(recipe=str(recipe))
    try:
        plan = Plan(**fields)
    except ValidationError as error:
        known = ", ".join(Plan.model_fields)
        raise SpikeportError(
            [
                Finding(
                    "SP312",
                    f"{'.'.join(map(str, one['loc']))}: {one['msg']}",
                    where=str(path),
                    mend=f"the fields of a whole run are: {known}",
                )
                for one in error.errors()
            ]
        ) from None
    beside = path.parent / plan.recipe
    return plan.model_copy(update={"recipe": str(beside)}) if beside.is_file() else plan
