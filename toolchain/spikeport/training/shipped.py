"""Shipped recipes and models, files in the packages that two groups of entry points name; a checkpoint's module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeport import plugins
from spikeport.findings import fail
from spikeport.nearest import choose
from spikeport.process import loading

if TYPE_CHECKING:
    from torch import nn

RECIPES = "spikeport.recipes"  #: packages with .toml files; ``OTHER_NAMES`` in one maps further names to its recipes
MODELS = "spikeport.models"  #: packages with .safetensors files


def recipes() -> list[str]:
    """The shipped recipes."""
    return list(plugins.files(RECIPES, ".toml"))


def find(recipe: str | Path) -> Path:
    """The file of a recipe: a shipped one by name, or any TOML file. Raises SP311 with the names there are."""
    files, path = plugins.files(RECIPES, ".toml"), Path(recipe)
    names = [getattr(package, "OTHER_NAMES", {}).get(str(recipe)) for package in plugins.packages(RECIPES)]
    for name in (str(recipe), *names):
        if name in files:
            return files[name]
    if path.suffix == ".toml":
        return path
    fail("SP311", f"there is no recipe {str(recipe)!r}", mend=f"{choose(str(recipe), files)}, or a .toml file")


def models() -> dict[str, Path]:
    """The checkpoints of the shipped models, by name."""
    return plugins.files(MODELS, ".safetensors")


def file_of(model: str | Path) -> Path:
    """The checkpoint of a file's path or of a shipped model's name. Raises SP300 for what can be neither."""
    path = Path(model)
    if not path.exists():
        shipped = models()
        path = shipped.get(str(model), path)
        if not path.suffix:
            what = f"there is no file and no shipped model {str(model)!r}"
            fail("SP300", what, mend=f"shipped models: {', '.join(shipped) or 'none'}")
    return path


def load(model: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """A checkpoint's module, in evaluation mode, and its metadata. ``model`` is a file or the name of a shipped model.

    Raises SP300 where there is no such model, SP301-SP307 where the file is none, or is not whole.
    """
    path = file_of(model)
    with loading():
        import torch

        from spikeport.training import checkpoint

    tensors, metadata = checkpoint.read(path)
    with torch.device("meta"):  # what the facts claim is seen before memory is taken for it
        checkpoint.require_fit(_module(metadata), tensors, path, timesteps=metadata["timesteps"])
    module = _module(metadata)
    checkpoint.fill(module, tensors, path, timesteps=metadata["timesteps"])
    return module.eval(), metadata


def _module(metadata: Mapping[str, Any]) -> nn.Module:
    from spikeport.training.catalogue import inference_method
    from spikeport.training.networks import build

    architecture = dict(metadata["architecture"])
    return build(
        architecture.pop("network"),
        input_shape=tuple(metadata["input_shape"]),
        classes=metadata["classes"],
        timesteps=metadata["timesteps"],
        train_with=inference_method(metadata),
        options=architecture,
    )
