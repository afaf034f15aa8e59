"""A plan of a whole run: which training or which trained network, and what comes after it; also as a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from spikeport import reading
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose
from spikeport.quantisation.collapse_schedule import Collapse
from spikeport.training.shipped import find, models
from spikeport.verbs.graph_files import GRAPHS

TARGET = "lava"  #: where the integers run besides our engine, unless something else is said
FIRST = 32  #: samples for it: Lava and most others have no batches


class Quantising(BaseModel):
    """How the trained network becomes integers; the names are those of `spikeport.quantize`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight_bits: int | dict[str, int] | Literal["auto"] = 8
    profile: str | None = None  #: None: what the target asks for, else loihi2
    calibration: int = Field(default=512, ge=1)
    thresholds: Collapse | None = None
    fine_tune: int = Field(default=0, ge=0)
    max_drop: float = Field(default=0.5, ge=0)


class Plan(BaseModel):
    """A whole run: of a recipe, which is trained first, or of a trained network with samples of one's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str | None = None  #: of the training: a shipped one's name, or a TOML file beside this one
    trained: Any = None  #: in place of it a trained network, as `load_model` takes it
    method: str | None = None
    train: dict[str, Any] = Field(default_factory=dict)  #: fields of the training recipe to replace
    data: Any = None  #: samples that judge a trained network, as `load_data` takes them
    labels: Any = None
    calibrate: Any = None  #: samples that calibrate its integers; None: the training split of ``data``
    limit: int | None = Field(default=None, ge=1)  #: samples that judge it, at most
    dt: float | None = None
    nir: dict[str, str] | None = None
    timesteps: int | None = Field(default=None, ge=1)
    frames: bool = False
    clip: bool = False  #: cut off what lies beyond what the integers are made for, for all stages
    quantize: Quantising = Quantising()
    target: str | None = None  #: where the integers run besides our engine; None: Lava, where it is installed
    target_samples: int = Field(default=FIRST, ge=0, validation_alias=AliasChoices("target_samples", "lava_samples"))
    device: str = "cpu"  #: what trains the network and runs our engine: cpu, cuda, cuda:1, or auto
    time_limit: float | None = Field(default=None, gt=0)  #: seconds that the target may take
    chip: str = "loihi1"  #: of the core map, messages, hops and step times


#: words in a plan that may name a file beside it
PLACES = ("recipe", "data", "labels", "calibrate")


def read(network: Any, **said: Any) -> Plan:
    """The plan in a TOML file that names a ``recipe`` or a ``trained`` network; else the usual plan for what is named.

    What is ``said`` and not None replaces fields of it. A name is that of a trained network where it names a file or
    code, or where ``data`` are given, else that of a recipe.

    Raises SP312 for a plan that is wrong, with every field, and SP239 for one that lacks something or has too much;
    what is no plan is left to the training to judge.
    """
    path = Path(network) if isinstance(network, str | Path) else None
    fields: dict[str, Any] = {}
    if path is not None and path.suffix == ".toml" and path.is_file():
        fields = _beside(_fields(path), path.parent)
    if not {"recipe", "trained"} & set(fields):
        own = path is None or is_trained(str(network)) or (said.get("data") is not None and not _is_recipe(network))
        fields = {"trained": network} if own else {"recipe": str(network)}
    plan = _parsed(fields | {name: value for name, value in said.items() if value is not None}, str(path or ""))
    _complete(plan, str(path or type(network).__name__))
    return plan


def is_trained(name: str) -> bool:
    """Whether a name is that of a file with a network, or of code that makes one."""
    path = Path(name)
    return path.suffix.lower() in (*GRAPHS, ".safetensors", ".py") or (":" in name and not path.exists())


def _is_recipe(name: str | Path) -> bool:
    """Whether this is a recipe's name and no shipped network's."""
    if str(name) in models():
        return False
    try:
        return find(name).is_file()
    except SpikeportError:
        return False


def _complete(plan: Plan, where: str) -> None:
    names = ("data", "labels", "calibrate", "limit", "dt", "nir", "timesteps", "frames")
    own = [name for name in names if getattr(plan, name) is not None and getattr(plan, name) is not False]
    if plan.recipe is not None and plan.trained is not None:
        fail("SP239", "a recipe and a trained network", where=where, mend="name one of them")
    if plan.recipe is not None and own:
        mend = f"leave out {', '.join(own)}, or name a trained network: spikeport train {plan.recipe} makes one"
        fail("SP239", "a recipe brings its own data and network", where=where, mend=mend)
    if plan.trained is not None and (plan.method or plan.train):
        fail("SP239", "a trained network is not trained again", where=where, mend="leave out method and train")


def _fields(path: Path) -> dict[str, Any]:
    try:
        return reading.toml_file(path)
    except (OSError, ValueError) as error:
        fail("SP312", f"is not TOML ({error})", where=str(path), mend="mend the line named")


def _beside(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The fields, files that lie beside the plan by their place; of ``file.py:function`` the file may."""
    found = dict(fields)
    for name in PLACES:
        if isinstance(fields.get(name), str) and (folder / fields[name]).exists():
            found[name] = str(folder / fields[name])
    if isinstance(trained := fields.get("trained"), str):
        file, colon, function = trained.partition(":")
        if (folder / file).is_file():
            found["trained"] = f"{folder / file}{colon}{function}"
    return found


def _parsed(fields: dict[str, Any], where: str) -> Plan:
    try:
        return Plan(**fields)
    except ValidationError as error:
        raise SpikeportError([_finding(one, where) for one in error.errors()]) from None


def _finding(error: Any, where: str) -> Finding:
    field = ".".join(map(str, error["loc"]))
    known = Quantising.model_fields if error["loc"][0] == "quantize" else Plan.model_fields
    mend = choose(str(error["loc"][-1]), known) if error["type"] == "extra_forbidden" else ""
    return Finding("SP312", f"{field}: {error['msg']}", where=where, mend=mend)
