"""Every format that a verb reads, by name, and its mutants."""

from __future__ import annotations

import numpy as np

from format_mutants import bytes_mutant
from hostile import mutate
from hostile.data_files import (
    aedat,
    cifar,
    events,
    idx,
    mutated_events,
    nmnist,
    observed,
    read_cifar,
    read_events,
    read_idx,
    read_nmnist,
    read_observed,
    read_samples,
    sample_sets,
    samples,
)
from hostile.model_files import authors, checkpoints, graph_file, read_authors, read_checkpoint
from hostile.originals import File, Format
from hostile.result_files import read_record, read_results, read_settings, records, results, settings


def _plain(function):
    return lambda ending, data, rng: function(data, rng)


FORMATS: dict[str, Format] = {
    "nir": graph_file("nir"),
    "onnx": graph_file("onnx"),
    "safetensors": Format(checkpoints, _plain(mutate.safetensors), read_checkpoint),
    "pt": Format(authors, _plain(mutate.zipped), read_authors),
    "npy": Format(samples, _plain(mutate.npy), read_samples),
    "npz": Format(sample_sets, _plain(mutate.npz), read_samples),
    "record": Format(records, _plain(mutate.record), read_record),
    "json": Format(results, _plain(mutate.json_text), read_results),
    "toml": Format(settings, _plain(mutate.toml_text), read_settings),
    "idx": Format(idx, _plain(mutate.idx), read_idx),
    "zip": Format(nmnist, _plain(mutate.zipped), read_nmnist),
    "tar": Format(cifar, _plain(mutate.tar), read_cifar),
    "events": Format(events, mutated_events, read_events),
}
#: read in a child of their own, half a second each: by command alone
SLOW = {
    "aedat4": Format(aedat, _plain(bytes_mutant), read_events),
    "nirdata": Format(observed, lambda ending, data, rng: FORMATS["nir"].mutate(ending, data, rng), read_observed),
}


def mutant(name: str, originals: list[File], seed: int) -> File:
    """Mutant number ``seed``: every second one is changed in its bytes, the others in their structure."""
    rng = np.random.default_rng([seed, sum(name.encode())])
    ending, data = originals[seed // 2 % len(originals)]
    if seed % 2:
        return ending, bytes_mutant(data, rng)
    try:
        return ending, ({**FORMATS, **SLOW})[name].mutate(ending, data, rng)
    except Exception:  # what cannot be changed so
        return ending, bytes_mutant(data, rng)
