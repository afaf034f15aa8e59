"""Shipped models, and how any checkpoint becomes a module again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from spikeport.findings import fail
from spikeport.training import checkpoint
from spikeport.training.catalogue import method
from spikeport_models.networks import build

FOLDER = Path(__file__).parent / "checkpoints"


def shipped() -> list[str]:
    """The shipped models."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load(model: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """A checkpoint's module, in evaluation mode, and its metadata. ``model`` is a file or the name of a shipped model.

    Raises SP300 where there is no such model, SP301-SP307 where the file is none, or is not whole.
    """
    path = Path(model)
    ours = FOLDER / f"{model}.safetensors"
    if not path.exists() and ours.exists():
        path = ours
    if not path.exists() and not path.suffix:
        fail(
            "SP300",
            f"there is no file and no shipped model {str(model)!r}",
            mend=f"shipped models: {', '.join(shipped()) or 'none'}",
        )
    tensors, metadata = checkpoint.read(path)
    architecture = dict(metadata["architecture"])
    module = build(
        architecture.pop("network"),
        input_shape=tuple(metadata["input_shape"]),
        classes=int(metadata["classes"]),
        timesteps=int(metadata["timesteps"]),
        train_with=method(metadata["method"], **metadata.get("method_options", {})),
        options=architecture,
    )
    checkpoint.fill(module, tensors, path, timesteps=int(metadata["timesteps"]))
    return module.eval(), metadata
