"""A recipe: everything that decides a training, in one TOML file. Unknown fields are errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikeport import __version__, preprocessing, reading
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose
from spikeport.training import networks, objective, options
from spikeport.training.catalogue import facts, method
from spikeport.training.precision import Precision, fastest

#: fields that count only where another field has one of these values
ONLY_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "label_smoothing": ("loss", ("ce", "tet", "mse")),
    "tet_share": ("loss", ("tet",)),
    "step_epochs": ("schedule", ("step",)),
    "step_factor": ("schedule", ("step",)),
    "momentum": ("optimiser", ("sgd",)),
}
SCHEDULES = dict.fromkeys(("cosine", "cosine-epoch", "step"))  #: that `loop.rate_at` knows itself


class Recipe(BaseModel):
    """The fields of a recipe; the published codes' defaults where they have one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    model: str  #: name of the trained model
    dataset: str
    folder: str | None = None  #: where the data set lies; None: the usual places
    network: str
    architecture: dict[str, Any] = Field(default_factory=dict)  #: options of the network
    timesteps: int = Field(ge=1)
    start: str | None = None  #: a checkpoint, or a shipped model, with whose weights the training begins
    start_anew: list[str] = Field(default_factory=list)  #: layers that begin with their own all the same
    method: str = "ds-atgo"
    method_options: dict[str, Any] = Field(default_factory=dict)
    normalise: str = "none"  #: MEAN,.../STD,... with one number a channel: samples enter as (x - mean) / std
    train_on: Literal["train", "all"] = "train"  #: "all": the validation part too; then no epoch is chosen by it
    choose: Literal["val", "test", "last"] = "val"  #: which part says which epoch is the best, or the last one is
    loss: str = "ce"  #: ce, tet, mse, or a plug-in's
    loss_options: dict[str, Any] = Field(default_factory=dict)
    also: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict
    )  #: further losses by name, each with its factor: im, rmp, …
    tet_share: float = Field(default=0.05, ge=0, le=1)  #: of the pull towards 1 in TET
    mpd_sgr: float = Field(default=0.0, ge=0)  #: factor of the share of membranes near their threshold
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    epochs: int = Field(ge=1)
    batch: int = Field(default=100, ge=2)
    optimiser: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(default=0.1, gt=0)  #: at the start; follows the schedule
    schedule: str = "cosine"  #: to 0 by steps; cosine-epoch, by epochs; step, a staircase; or a plug-in's
    schedule_options: dict[str, Any] = Field(default_factory=dict)  #: of a plug-in's
    step_epochs: int = Field(default=50, ge=1)  #: of a staircase, the epochs of one step
    step_factor: float = Field(default=0.1, gt=0, le=1)  #: of a staircase, what the rate is multiplied by
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup: float = Field(default=0.0, ge=0, lt=1)  #: share of the steps in which lr rises from 0
    shrink: int = Field(default=1, ge=1)  #: samples enter smaller by so much a side: means of squares of pixels
    shift: int = Field(default=0, ge=0)  #: augmentation: pixels by which a sample is moved, at most, in x and y
    roll: int = Field(default=0, ge=0)  #: augmentation: as shift, but what leaves on one side enters on the other
    flip: bool = False  #: augmentation: half of the samples are mirrored
    cutout: int = Field(default=0, ge=0)  #: augmentation: side of a square set to zero, pixels
    augmentations: dict[str, dict[str, Any]] = Field(default_factory=dict)  #: plug-ins' by name, each with its options
    #: augmentation: AutoAugment's, as MPD-AGL's and DS-ATGO's codes have it, or by torchvision
    policy: Literal["none", "cifar10-published", "cifar10", "imagenet", "svhn"] = "none"
    last_batch: Literal["half", "keep", "drop"] = "half"  #: a partial batch: kept from half its size on, always, never
    precision: Precision = "float32"  #: in a file also "auto", which `parse` resolves: no recipe holds that word
    weight_bits: Literal[0, 2, 3, 4, 5, 6, 7, 8] = 0  #: grid of the best epoch's weights in the end; 0: none
    seed: int = 2025


def parse(fields: Mapping[str, Any], where: str = "", auto: Callable[[], Precision] = fastest) -> Recipe:
    """A recipe from plain values; ``auto`` says which precision "auto" is, by default the CPU's fastest.

    Raises SP312 with every field that does not fit and for a loss, a schedule or an augmentation that cannot be, SP313
    for the method or an option of it that cannot be, SP314 for the network, SP398 and SP908 for a normalisation that is
    none, SP321 where the part that would choose the best epoch is trained on.
    """
    if fields.get("precision") == "auto":
        fields = {**fields, "precision": auto()}
    try:
        recipe = Recipe(**fields)
    except ValidationError as error:
        raise SpikeportError([_finding(one, where) for one in error.errors()]) from None
    method(recipe.method, **recipe.method_options)
    networks.check(recipe.network, recipe.architecture)
    preprocessing.parse(recipe.normalise, "said by the recipe")
    objective.of(recipe.loss, recipe.loss_options, recipe.also)
    options.make("schedules", recipe.schedule, SCHEDULES, recipe.schedule_options, "SP312")
    for name, chosen in recipe.augmentations.items():
        options.make("augmentations", name, {}, chosen, "SP312")
    if idle := [_idle(recipe, field, where) for field in ONLY_WITH if _counts_for_nothing(recipe, field)]:
        raise SpikeportError(idle)
    if recipe.start_anew and recipe.start is None:
        fail(
            "SP312", "start_anew does nothing without start", where=where, mend='start = "digits-conv", or a checkpoint'
        )
    if recipe.train_on == "all" and recipe.choose == "val":
        mend = 'choose = "last", or choose = "test" as some published code does'
        fail("SP321", "trains on the validation part and chooses the best epoch by it", where=where, mend=mend)
    return recipe


def _counts_for_nothing(recipe: Recipe, field: str) -> bool:
    other, values = ONLY_WITH[field]
    return getattr(recipe, field) != Recipe.model_fields[field].default and getattr(recipe, other) not in values


def _idle(recipe: Recipe, field: str, where: str) -> Finding:
    other, values = ONLY_WITH[field]
    what = f"{field} = {getattr(recipe, field)} does nothing with {other} = {getattr(recipe, other)!r}"
    mend = f"{field} = {Recipe.model_fields[field].default}, or {other} = {' or '.join(values)}"
    return Finding("SP312", what, where, mend=mend)


def _finding(error: Any, where: str) -> Finding:
    field = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        mend = choose(field, Recipe.model_fields)
        return Finding("SP312", f"{field!r} is no field of a recipe", where=where, mend=mend)
    return Finding("SP312", f"{field}: {error['msg']}", where=where)


def read(
    path: Path | str, overrides: Mapping[str, Any] | None = None, auto: Callable[[], Precision] = fastest
) -> Recipe:
    """The recipe in a TOML file, with some fields replaced; ``architecture.hidden`` names one of a table.

    ``auto`` as in `parse`.
    Raises SP311 (no such file), SP312 (not TOML, unknown fields, values out of range), SP313 and SP321
    as `parse`.
    """
    path = Path(path)
    if not path.is_file():
        fail("SP311", "there is no such recipe", where=str(path))
    try:
        fields = reading.toml_file(path)
    except (OSError, ValueError) as error:
        fail("SP312", f"is not TOML ({error})", where=str(path), mend="mend the line named")
    for name, value in (overrides or {}).items():
        *tables, last = name.split(".")
        place = fields
        for table in tables:
            place = place.setdefault(table, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[last] = value
        else:
            fields[name] = value
    return parse(fields, str(path), auto)


def facts_of(recipe: Recipe, input_shape: tuple[int, ...], coding: str, classes: int) -> dict[str, Any]:
    """What a checkpoint states about the network that a recipe trains; ``input_shape`` is one frame's."""
    return {
        "model": recipe.model,
        "architecture": {"network": recipe.network, **recipe.architecture},
        "method": recipe.method,
        "method_options": recipe.method_options,
        "after_training": facts(method(recipe.method, **recipe.method_options)),
        "timesteps": recipe.timesteps,
        "dataset": recipe.dataset,
        "input_shape": list(input_shape),
        "coding": coding,
        "classes": classes,
        "seed": recipe.seed,
        "recipe": recipe.model_dump(exclude={"folder"}),  # a place on somebody's disk is no fact about the model
        "versions": {"spikeport": __version__, "torch": version("torch")},
    }


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """``["epochs=5", "architecture.channels=[8, 16]", "method=fixed"]`` as values. Raises SP312 without "="."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            fail("SP312", f"{text!r} sets nothing", mend="write field=value, for instance epochs=5")
        try:
            values[name.strip()] = reading.toml_tables(f"value = {value}")["value"]
        except ValueError:
            values[name.strip()] = value.strip()  # a bare word is text
    return values
