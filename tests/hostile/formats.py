"""Every format that a verb reads, by name, and its mutants."""

from __future__ import annotations

import numpy as np

from format_mutants import bytes_mutant
from hostile import folder_files as folders
from hostile import mutate
from hostile import set_files as sets
from hostile.data_files import (
    cifar,
    events,
    idx,
    mutated_events,
    nmnist,
    read_cifar,
    read_events,
    read_idx,
    read_nmnist,
    read_samples,
    read_stream,
    sample_sets,
    samples,
    streams,
)
from hostile.model_files import authors, checkpoints, graph_file, mutated_authors, read_authors, read_checkpoint
from hostile.net_mutants import mutated_net, nets, read_net
from hostile.originals import File, Format
from hostile.result_files import read_record, read_results, read_settings, records, results, settings


def _plain(function):
    return lambda ending, data, rng: function(data, rng)


FORMATS: dict[str, Format] = {
    "nir": graph_file("nir"),
    "onnx": graph_file("onnx"),
    "net": Format(nets, mutated_net, read_net),
    "safetensors": Format(checkpoints, _plain(mutate.safetensors), read_checkpoint),
    "pt": Format(authors, mutated_authors, read_authors),
    "npy": Format(samples, _plain(mutate.npy), read_samples),
    "npz": Format(sample_sets, _plain(mutate.npz), read_samples),
    "stream": Format(streams, _plain(mutate.npy), read_stream),
    "record": Format(records, _plain(mutate.record), read_record),
    "json": Format(results, _plain(mutate.json_text), read_results),
    "toml": Format(settings, _plain(mutate.toml_text), read_settings),
    "idx": Format(idx, _plain(mutate.idx), read_idx),
    "zip": Format(nmnist, _plain(mutate.zipped), read_nmnist),
    "tar": Format(cifar, _plain(mutate.tar), read_cifar),
    "events": Format(events, mutated_events, read_events),
    "aedat4": Format(sets.aedat, sets.mutated_aedat, read_events),
    "nirdata": Format(sets.observed, sets.mutated_observed, sets.read_observed),
    "image": Format(sets.images, sets.mutated_image, sets.read_image),
    "ts": Format(sets.utterances, sets.mutated_utterances, sets.read_utterances),
    "frames": Format(sets.frames, sets.mutated_frames, sets.read_frames),
    "plan": Format(folders.plans, _plain(mutate.toml_text), folders.read_plan),
    "sweep": Format(folders.swept, _plain(mutate.json_text), folders.read_swept),
    "trials": Format(folders.trials, folders.mutated_trials, folders.read_trials),
    "parts": Format(folders.parts, folders.mutated_part, folders.read_parts),
    "training": Format(folders.trainings, _plain(mutate.safetensors), folders.read_training),
}


def mutant(name: str, originals: list[File], seed: int) -> File:
    """Mutant number ``seed``: every second one is changed in its bytes, the others in their structure."""
    rng = np.random.default_rng([seed, sum(name.encode())])
    ending, data = originals[seed // 2 % len(originals)]
    if seed % 2:
        return ending, bytes_mutant(data, rng)
    try:
        return ending, FORMATS[name].mutate(ending, data, rng)
    except Exception:  # what cannot be changed so
        return ending, bytes_mutant(data, rng)
