"""What a record remembers of the run that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.files import sha256
from spikeport.graph import Array, Samples
from spikeport.verbs.load import Model
from spikeport.verbs.own_files import OBSERVED


def origin(model: Model, samples: Array | Samples, given: Any, dt: float | None = None) -> Mapping[str, str]:
    """What a record remembers of its run: the model's file and the input's (where ``given`` is one), with hashes.

    ``dt``: the seconds a step in which NIRData's events were added up.
    """
    facts = {"samples_sha256": samples_hash(samples)}
    if model.path is not None:
        facts |= {"model": str(model.path), "model_sha256": sha256(model.path)}
    elif model.kind == "checkpoint":
        facts |= {"model": model.name}
    if not isinstance(given, str | Path):
        return facts
    observed = Path(given).suffix.lower() in OBSERVED and dt is not None
    return facts | {"input": str(given)} | ({"input_dt": repr(dt)} if observed else {})


def samples_hash(samples: Array | Samples) -> str:
    """SHA-256 of the values as float64 in C order, so that a wider type of the same numbers is the same input."""
    if isinstance(samples, Samples):
        values = samples_hash(samples.array)
        ends = None if samples.lengths is None else samples.lengths.tolist()
        return values if ends is None else hashlib.sha256(f"{values} ends {ends}".encode()).hexdigest()
    digest = hashlib.sha256(str(samples.shape).encode())
    for part in samples:
        digest.update(np.ascontiguousarray(part, dtype=np.float64).tobytes())
    return digest.hexdigest()
