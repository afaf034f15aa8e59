"""A training on disk: everything that the next epoch depends on, so that it continues bit for bit. No pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from spikeport.files import plain, write_bytes
from spikeport.findings import fail
from spikeport.training.loop import Epoch, Training
from spikeport.training.recipe import Recipe


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


def restore(path: Path, training: Training) -> None:
    """Put ``training`` (freshly begun) where `save` left it. Raises SP318 for other files and for another recipe."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["spikeport-training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        fail(
            "SP318", f"is no training that could go on ({error})", where=str(path), mend="start again without --resume"
        )
    now = training.recipe.model_dump()
    defaults = {name: each.get_default(call_default_factory=True) for name, each in Recipe.model_fields.items()}
    before = defaults | facts["recipe"]  # 0.1 knew fewer
    other = sorted(name for name in now if now[name] != before[name])
    if other:
        fail(
            "SP318",
            f"was trained with another recipe: {', '.join(other)}",
            where=str(path),
            mend="resume with the recipe of the folder, or choose another --out",
        )

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    training.module.load_state_dict(under("module."))
    training.best_state = under("best.")
    slots: dict[int, dict[str, Any]] = {int(number): dict(values) for number, values in facts["slots"].items()}
    parameters = list(training.module.parameters())
    for name, tensor in under("optimiser.").items():
        number, slot = name.split(".", 1)
        of = parameters[int(number)]
        # In the parameter's memory order (channels-last): fused optimisers walk through both side by side.
        value = torch.empty_like(of, dtype=tensor.dtype).copy_(tensor) if tensor.shape == of.shape else tensor
        slots.setdefault(int(number), {})[slot] = value
    training.optimiser.load_state_dict({"state": slots, "param_groups": facts["groups"]})
    training.schedule.load_state_dict({**facts["schedule"], "lr_lambdas": [None]})
    torch.set_rng_state(tensors["random.global"])
    training.generator.set_state(tensors["random.batches"])
    if (here := _device(training)).type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], here)
    training.epochs = [Epoch(**epoch) for epoch in facts["epochs"]]
    training.best = next((epoch for epoch in training.epochs if epoch.epoch == facts["best"]), None)


def _device(training: Training) -> torch.device:
    return next(training.module.parameters()).device
