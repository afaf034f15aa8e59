"""The verb train: a recipe becomes a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import nn

import spikeport
from spikeport import console
from spikeport.findings import fail
from spikeport.train import checkpoint
from spikeport.train.catalogue import method as method_of
from spikeport.train.loop import Epoch, Part, accuracy, fit
from spikeport.train.recipe import Recipe, read
from spikeport_models import datasets, networks
from spikeport_models.recipes import find


@dataclass(frozen=True)
class Trained:
    """What a training left behind."""

    module: nn.Module  #: the best epoch's, in evaluation mode
    checkpoint: Path
    metadata: dict[str, Any]
    epochs: list[Epoch]
    seconds: float


def train(
    recipe: str | Path,
    method: str | None = None,
    out: Path | str = "build/train",
    overrides: Mapping[str, Any] | None = None,
    *,
    progress: bool | None = None,
) -> Trained:
    """Train what a recipe says; ``recipe`` is a shipped recipe's name or a TOML file.

    Writes ``best.safetensors`` into the folder ``out``: the epoch that was best on the validation part. The test part
    is evaluated once, at the end, and stands in the metadata.
    """
    chosen = read(find(recipe), {**(overrides or {}), **({"method": method} if method else {})})
    shown = console.interactive() if progress is None else progress
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        fail("SP317", "is a file; the results need a folder", where=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    torch.manual_seed(chosen.seed)
    parts = {split: datasets.load(chosen.dataset, split) for split in ("train", "val", "test")}
    data = parts["train"]
    module = networks.build(
        chosen.network,
        input_shape=data.input_shape,
        classes=data.classes,
        timesteps=chosen.timesteps,
        train_with=method_of(chosen.method, **chosen.method_options),
        options=chosen.architecture,
    ).to(memory_format=torch.channels_last)  # what the convolutions are fastest with
    train_part, val, test = (Part.of(part.x, part.y, part.coding) for part in parts.values())
    state, best, epochs = _fit(module, train_part, val, chosen, shown)
    module.load_state_dict(state)
    module.eval()
    seconds = time.perf_counter() - start
    metadata = _metadata(chosen, data, best) | {"test_accuracy": accuracy(module, test), "train_seconds": seconds}
    path = folder / "best.safetensors"
    checkpoint.save(path, module, metadata)
    return Trained(module, path, metadata, epochs, seconds)


def _fit(module: nn.Module, train: Part, val: Part, recipe: Recipe, progress: bool) -> Any:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"), TimeElapsedColumn())
    with Progress(*columns, console=console.stderr, disable=not progress) as bar:
        task = bar.add_task(f"train {recipe.model} ({recipe.method})", total=recipe.epochs, now="")

        def watch(epoch: Epoch, module: nn.Module) -> None:
            now = f"loss {epoch.loss:.3f}  train {epoch.train_accuracy:.1%}  val {epoch.val_accuracy:.1%}"
            bar.update(task, advance=1, now=now)
            if not progress:
                console.say(f"epoch {epoch.epoch}/{recipe.epochs}  {now}  {epoch.seconds:.1f} s")

        return fit(module, train, val, recipe, watch)


def _metadata(recipe: Recipe, data: datasets.Dataset, best: Epoch) -> dict[str, Any]:
    return {
        "model": recipe.model,
        "architecture": {"network": recipe.network, **recipe.architecture},
        "method": recipe.method,
        "method_options": recipe.method_options,
        "timesteps": recipe.timesteps,
        "dataset": recipe.dataset,
        "input_shape": list(data.input_shape),
        "coding": data.coding,
        "classes": data.classes,
        "seed": recipe.seed,
        "epoch": best.epoch,
        "val_accuracy": best.val_accuracy,
        "recipe": recipe.model_dump(),
        "versions": {"spikeport": spikeport.__version__, "torch": torch.__version__},
    }
