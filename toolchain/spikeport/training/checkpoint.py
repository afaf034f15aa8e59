"""Checkpoints: tensors in safetensors, facts as JSON in its metadata, never a pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from spikeport import reading
from spikeport.files import write_bytes
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import Coding
from spikeport.training.neurons import Neuron

VERSION = 1
LARGEST_INPUT = 2**24  #: values of one sample, and classes
KEY = "spikeport"  #: the metadata entry that holds the JSON
FACTS = ("model", "architecture", "method", "timesteps", "dataset", "input_shape", "coding", "classes", "seed")


def save(path: Path | str, module: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write ``module``'s state with ``metadata`` (JSON values; `FACTS` are required); the file appears whole."""
    missing = [name for name in FACTS if name not in metadata]
    if missing:
        fail("SP305", f"a checkpoint also states {', '.join(missing)}", where=str(path))
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    text = json.dumps({"version": VERSION, **metadata})
    write_bytes(path, to_bytes(state, metadata={KEY: text}))


def read(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a checkpoint.

    Raises SP300 (no file), SP301 (empty), SP302 (not safetensors, or cut short), SP305 (not spikeport's).
    """
    path = Path(path)
    if not path.is_file():
        fail("SP300", "there is no such file", where=str(path), mend="name a checkpoint (.safetensors)")
    if path.stat().st_size == 0:
        fail("SP301", "the file is empty", where=str(path), mend="train again, or copy the file again")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        fail(
            "SP302",
            f"is not a checkpoint, or was cut short ({error})",
            where=str(path),
            mend="a checkpoint is a .safetensors file that spikeport train wrote; copy it again",
        )
    try:
        facts = reading.json_value(metadata[KEY])
        lacking = [name for name in FACTS if name not in facts]
    except (KeyError, TypeError, ValueError):
        fail(
            "SP305",
            "is safetensors, but says nothing about the model",
            where=str(path),
            why="without architecture and timesteps the tensors are no network.",
            mend="write it with spikeport train, or bring the authors' files in with import-checkpoint",
        )
    if lacking:
        fail("SP305", f"lacks {', '.join(lacking)} in its metadata", where=str(path))
    if facts.get("version") != VERSION:
        fail("SP305", f"has version {facts.get('version')}, this spikeport reads {VERSION}", where=str(path))
    try:
        Facts.model_validate(facts)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors())
        fail("SP305", f"says what cannot be: {'; '.join(wrong)}", where=str(path), mend="copy the file again")
    return tensors, facts


class Facts(BaseModel):
    """What a checkpoint has to state, and of which kind."""

    model_config = ConfigDict(strict=True)

    model: str
    architecture: dict[str, Any]
    method: str
    method_options: dict[str, Any] = Field(default_factory=dict)
    timesteps: int = Field(ge=1, le=2**20)
    dataset: str | None
    input_shape: list[Annotated[int, Field(ge=1, le=LARGEST_INPUT)]] = Field(min_length=1, max_length=3)
    coding: Coding
    classes: int = Field(ge=1, le=LARGEST_INPUT)
    seed: int | None
    recipe: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if math.prod(self.input_shape) > LARGEST_INPUT or not isinstance(self.architecture.get("network"), str):
            raise ValueError("input_shape or architecture is none")
        return self


def fill(module: nn.Module, tensors: Mapping[str, Tensor], where: Path | str = "", *, timesteps: int) -> None:
    """Put tensors into a module, all or nothing. Raises what `require_fit` raises."""
    require_fit(module, tensors, where, timesteps=timesteps)
    module.load_state_dict(dict(tensors))


def require_fit(module: nn.Module, tensors: Mapping[str, Tensor], where: Path | str = "", *, timesteps: int) -> None:
    """Whether tensors are those of a module, which may be on the device "meta".

    Raises SP303 (no threshold table), SP304 (tensors that do not fit), SP306 (table of another length), SP307 (NaN).
    """
    expected = module.state_dict()
    thresholds = [f"{n}.threshold" for n, part in module.named_modules() if isinstance(part, Neuron)]
    findings: list[Finding] = []
    if lost := [name for name in thresholds if name not in tensors]:
        findings.append(
            Finding(
                "SP303",
                f"the threshold table is missing: {', '.join(lost)}",
                where=str(where),
                why="thresholds are learned; with the start value the network would fire other spikes.",
                mend="save the checkpoint with its buffers, or re-estimate them: import-checkpoint --calibrate",
            )
        )
    for name in sorted(set(expected) - set(tensors) - set(thresholds)):
        findings.append(Finding("SP304", f"tensor {name!r} is missing", where=str(where)))
    for name in sorted(set(tensors) - set(expected)):
        findings.append(Finding("SP304", f"tensor {name!r} belongs to no part of the network", where=str(where)))
    for name in sorted(set(tensors) & set(expected)):
        findings += _tensor_findings(name, tensors[name], expected[name], where, timesteps, name in thresholds)
    if findings:
        raise SpikeportError(findings)


def _tensor_findings(
    name: str, got: Tensor, wanted: Tensor, where: Path | str, timesteps: int, table: bool
) -> list[Finding]:
    if table and got.ndim and got.shape[0] != timesteps:
        what = f"{name} has {got.shape[0]} thresholds, the model runs {timesteps} timesteps"
        return [Finding("SP306", what, where=str(where), mend="the table has one entry a timestep")]
    if got.shape != wanted.shape:
        what = f"tensor {name!r} has shape {list(got.shape)}, the network wants {list(wanted.shape)}"
        return [Finding("SP304", what, where=str(where), mend="the architecture in the metadata is another one")]
    if got.is_floating_point() and not bool(torch.isfinite(got).all()):
        bad = int((~torch.isfinite(got)).sum())
        return [
            Finding(
                "SP307",
                f"tensor {name!r} holds {bad} values that are not finite",
                where=str(where),
                mend="the training diverged, or the file is damaged",
            )
        ]
    return []
