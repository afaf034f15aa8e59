"""A training on disk: everything that the next epoch depends on, so that it continues bit for bit. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from spikeport.files import plain, write_bytes
from spikeport.findings import fail
from spikeport.reading import json_value, line
from spikeport.training.loop import Epoch, Training
from spikeport.training.recipe import Recipe

SLOTS = ("momentum_buffer", "step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")  #: of torch's SGD, Adam and AdamW
AGAIN = "start again without --resume"


def save(path: Path, training: Training) -> None:
    """Write module, best state, optimiser, schedule, random states and history; the file appears whole."""
    tensors = {f"module.{n}": t for n, t in training.module.state_dict().items()}
    tensors |= {f"best.{n}": t for n, t in training.best_state.items()}
    state = training.optimiser.state_dict()
    numbers: dict[str, dict[str, Any]] = {}
    for number, slots in state["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser.{number}.{name}"] = value
            else:
                numbers.setdefault(str(number), {})[name] = value
    tensors["random.global"] = torch.get_rng_state()
    tensors["random.batches"] = training.generator.get_state()
    if (here := _device(training)).type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(here)  # masks are drawn where the network lies
    facts = {
        "recipe": training.recipe.model_dump(),
        "groups": state["param_groups"],
        "slots": numbers,
        "schedule": {k: v for k, v in training.schedule.state_dict().items() if k != "lr_lambdas"},
        "epochs": plain(training.epochs),
        "best": None if training.best is None else training.best.epoch,
    }
    whole = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    write_bytes(path, to_bytes(whole, metadata={"spikeport-training": json.dumps(facts)}))


class Noted(BaseModel):
    """What `save` says beside the tensors."""

    recipe: dict[str, Any]
    groups: list[dict[str, Any]]
    slots: dict[str, dict[str, bool | int | float | None]]
    schedule: dict[str, Any]
    epochs: list[Epoch]
    best: int | None


def restore(path: Path, training: Training) -> None:
    """Put ``training`` (freshly begun) where `save` left it. Raises SP318 for other files and for another recipe."""
    try:
        noted, tensors = _read(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        fail("SP318", f"is no training that could go on ({line(error)})", where=str(path), mend=AGAIN)
    now = training.recipe.model_dump()
    defaults = {name: each.get_default(call_default_factory=True) for name, each in Recipe.model_fields.items()}
    before = defaults | noted.recipe  # 0.1 knew fewer
    other = sorted(name for name in now if now[name] != before[name])
    if other:
        fail(
            "SP318",
            f"was trained with another recipe: {', '.join(other)}",
            where=str(path),
            mend="resume with the recipe of the folder, or choose another --out",
        )
    try:
        _require_whole(noted, tensors, training)
        _put(noted, tensors, training)
    except (ValueError, RuntimeError) as error:  # RuntimeError: torch's, of a random state that is none
        fail("SP318", f"is no training that could go on ({line(error)})", where=str(path), mend=AGAIN)


def _read(path: Path) -> tuple[Noted, dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        try:
            noted = Noted.model_validate(json_value((file.metadata() or {})["spikeport-training"]))
        except ValidationError as error:
            one = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, one['loc']))[:100]}: {one['msg'].lower()}") from None
        return noted, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)


def _require_whole(noted: Noted, tensors: Mapping[str, Tensor], training: Training) -> None:
    """Raise ValueError for what `save` would not have written of this training."""
    state, parameters = training.module.state_dict(), list(training.module.parameters())
    places = ("module.", "best.") if noted.epochs else ("module.",)
    known = {f"{place}{name}": tensor for place in places for name, tensor in state.items()}
    known |= {"random.global": torch.get_rng_state(), "random.batches": training.generator.get_state()}
    for name, tensor in known.items():
        if name not in tensors or tensors[name].shape != tensor.shape or tensors[name].dtype != tensor.dtype:
            raise ValueError(f"{name} is missing, or of another shape or type")
    for name in tensors:
        kind, number, slot = [*name.split(".", 2), "", ""][:3]
        if kind == "optimiser":
            of = parameters[int(number)] if number.isdecimal() and int(number) < len(parameters) else None
            if of is None or slot not in SLOTS or tensors[name].shape not in (of.shape, ()):
                raise ValueError(f"{name} is of no parameter")
        elif name not in known and name != "random.cuda":
            raise ValueError(f"{name} is of no part of the network")
    if not all(number.isdecimal() and int(number) < len(parameters) for number in noted.slots):
        raise ValueError("slots of no parameter")
    if [group.get("params") for group in noted.groups] != [[*range(len(parameters))]]:
        raise ValueError("groups of other parameters")
    numbers = [epoch.epoch for epoch in noted.epochs]
    if numbers != [*range(1, len(numbers) + 1)] or (noted.best in numbers) != bool(numbers):
        raise ValueError("epochs that are not one after the other, or a best one that is none of them")


def _put(noted: Noted, tensors: Mapping[str, Tensor], training: Training) -> None:
    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    training.module.load_state_dict(under("module."))
    training.best_state = under("best.")
    slots: dict[int, dict[str, Any]] = {int(number): dict(values) for number, values in noted.slots.items()}
    parameters = list(training.module.parameters())
    for name, tensor in under("optimiser.").items():
        number, slot = name.split(".", 1)
        of = parameters[int(number)]
        # In the parameter's memory order (channels-last): fused optimisers walk through both side by side.
        value = torch.empty_like(of, dtype=tensor.dtype).copy_(tensor) if tensor.shape == of.shape else tensor
        slots.setdefault(int(number), {})[slot] = value
    training.optimiser.load_state_dict({"state": slots, "param_groups": [_group(noted, training)]})
    training.schedule.load_state_dict({**_schedule(noted, training), "lr_lambdas": [None]})
    torch.set_rng_state(tensors["random.global"])
    training.generator.set_state(tensors["random.batches"])
    if (here := _device(training)).type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], here)
    training.epochs = noted.epochs
    training.best = next((epoch for epoch in training.epochs if epoch.epoch == noted.best), None)


def _group(noted: Noted, training: Training) -> dict[str, Any]:
    """The parameters' group, as the recipe has it, at the learning rate of the file."""
    (fresh,), (group,) = training.optimiser.state_dict()["param_groups"], noted.groups
    return {**fresh, "lr": _rate(group.get("lr"))}


def _schedule(noted: Noted, training: Training) -> dict[str, Any]:
    """The schedule, as the recipe has it, at the step of the file."""
    said = noted.schedule
    steps = {name: said.get(name) for name in ("last_epoch", "_step_count")}
    if not all(type(value) is int and 0 <= value < 2**53 for value in steps.values()):
        raise ValueError("a schedule at no step")
    last = said.get("_last_lr")
    if not isinstance(last, list) or len(last) != 1:
        raise ValueError("a schedule without its last rate")
    return {**training.schedule.state_dict(), **steps, "_last_lr": [_rate(last[0])]}


def _rate(value: Any) -> float:
    """A learning rate. Raises ValueError for what is none."""
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise ValueError("a learning rate that is none")
    return float(value)


def _device(training: Training) -> torch.device:
    return next(training.module.parameters()).device
