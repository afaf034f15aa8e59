"""What a file of a record may say: types, sizes and shapes that fit, checked before it is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikeport import reading
from spikeport.findings import Severity
from spikeport.graph.arrays import Array

Count = Annotated[int, Field(ge=0, lt=2**62)]
Size = Annotated[int, Field(ge=1, lt=2**40)]


class Said(BaseModel):
    """A finding, as `files.plain` writes it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: str
    what: str
    where: str = ""
    why: str = ""
    mend: str = ""
    severity: Severity = "error"


class Neurons(BaseModel):
    """A `NeuronEvents`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    spikes: list[Count]
    updates: list[Count]
    active: list[Count]


class Synapse(BaseModel):
    """A `SynapseEvents`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: list[Count]
    payload: list[Count]
    synops: list[Count]
    fanout: list[Count]
    graded: list[Count]
    unary: list[Count]
    dense: list[Count]
    analog: bool
    constant: bool


class Meta(BaseModel):
    """The JSON text of a record's file."""

    model_config = ConfigDict(strict=True)

    target: str
    neurons: dict[str, Size]
    spike_counts: dict[str, list[Count]]
    events: dict[str, Neurons | Synapse]
    overflows: dict[str, dict[str, Count]]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    origin: dict[str, str] = Field(default_factory=dict)
    findings: list[Said]


def read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The facts and the arrays of a record's file. Raises OSError or ValueError where they cannot be a record's."""
    arrays = reading.npz_file(path)
    if "meta" not in arrays or "output" not in arrays:
        raise ValueError(f"it holds {', '.join(arrays)[:120] or 'nothing'}")
    meta = reading.json_value(str(arrays.pop("meta")))
    try:
        Meta.model_validate(meta)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg'][:120]}") from None
    _fit(meta, arrays)
    if "lengths" in arrays:
        _require_lengths(arrays["lengths"], len(arrays["output"]), meta["spike_counts"].values())
    return meta, arrays


def _fit(meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Raises ValueError where arrays and facts are not of one run: of its samples, steps and neurons."""
    samples = _samples(arrays["output"])
    steps = {name: len(counts) for name, counts in meta["spike_counts"].items()}
    for name in steps:
        if name not in meta["neurons"]:
            raise ValueError(f"spikes of {name[:60]!r}, and not how many neurons it has")
    for name, array in arrays.items():
        kind, slash, layer = name.partition("/")
        if kind == "output":
            _require_samples(name, array, samples)
        if not slash or kind == "output":
            continue
        if kind not in ("spikes", "membrane") or array.ndim < 2 or array.shape[1] != samples:
            raise ValueError(f"{name[:60]!r} of shape {list(array.shape)} beside {samples} samples")
        if array.dtype.kind not in ("biu" if kind == "spikes" else "biuf"):
            raise ValueError(f"{name[:60]!r} of type {array.dtype}")
        if kind == "spikes" and int(np.prod(array.shape[2:], dtype=np.int64)) != meta["neurons"].get(layer):
            raise ValueError(f"{name[:60]!r} of shape {list(array.shape)}, of another number of neurons")
        if steps.get(layer, array.shape[0]) != array.shape[0]:
            raise ValueError(f"{name[:60]!r} of {array.shape[0]} steps, its counts of {steps[layer]}")
    for name, facts in meta["events"].items():
        if len({len(counts) for counts in facts.values() if isinstance(counts, list)}) > 1:
            raise ValueError(f"events of {name[:60]!r} of different numbers of steps")


def _require_lengths(lengths: Array, samples: int, counts: Iterable[list[int]]) -> None:
    steps = max(map(len, counts), default=0)
    fits = lengths.shape == (samples,) and lengths.dtype.kind in "iu"
    if not fits or not 1 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(f"lengths of shape {list(lengths.shape)} beside {samples} samples of {steps} steps")


def _require_samples(name: str, output: Array, samples: int) -> None:
    if _samples(output) != samples:
        raise ValueError(f"{name[:60]!r} of shape {list(output.shape)} beside {samples} samples")


def _samples(output: Array) -> int:
    if output.ndim < 1 or output.dtype.kind not in "biuf" or not len(output):
        raise ValueError(f"an output of shape {list(output.shape)} and type {output.dtype}")
    return len(output)
