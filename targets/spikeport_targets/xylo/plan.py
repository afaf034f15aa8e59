"""What the worker shall build and run, as plain arrays: the file format between it and us. Needs no xylosim."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeport.graph import Array
from spikeport_targets.plans import DONE

POPULATIONS = ("hidden", "out")


@dataclass(frozen=True)
class Neurons:
    """A population, one number a neuron in each array."""

    threshold: Array  #: sums; a neuron fires at it
    bias: Array  #: sums a step
    first: Array  #: the step from which on the bias enters
    membrane: Array  #: bits by which it decays
    current: Array  #: and its current


@dataclass(frozen=True)
class Synapses:
    """The weights between two populations."""

    weight: Array  #: int64 [from, to], 8 bits
    shift: int  #: bits to the left, of all


@dataclass(frozen=True)
class Results:
    """What a run left behind, by population; [N, steps, neurons] each."""

    spikes: Mapping[str, Array]  #: uint8, how often each fires
    membranes: Mapping[str, Array]  #: int16, after the step
    flags: Mapping[str, Array]  #: uint8: what went beyond 16 bits, bits of `worker.py`
    seconds: float  #: of xylosim


@dataclass(frozen=True)
class Plan:
    """A network and its samples."""

    input: Array  #: uint8 [N, steps, channels], 0 ... 15 events
    neurons: Mapping[str, Neurons]  #: by population
    synapses: Mapping[str, Synapses]  #: input, hidden and out: what leads into each from the population before it

    def write(self, folder: Path) -> None:
        """``plan.json`` and ``plan.npz`` into a new folder, and a file for counting samples."""
        folder.mkdir()
        arrays = {"input": self.input} | {f"{name}/weight": each.weight for name, each in self.synapses.items()}
        arrays |= {f"{name}/{key}": value for name, each in self.neurons.items() for key, value in vars(each).items()}
        with (folder / "plan.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        described = {"shifts": {name: each.shift for name, each in self.synapses.items()}}
        (folder / "plan.json").write_text(json.dumps(described))
        np.save(folder / DONE, np.zeros(1, np.int64))

    def read(self, folder: Path) -> Results:
        """What the worker wrote down."""
        with np.load(folder / "result.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        spikes, membranes, flags = (
            {name: arrays[f"{name}/{key}"] for name in POPULATIONS} for key in ("spikes", "membranes", "flags")
        )
        return Results(spikes, membranes, flags, float(arrays["seconds"]))
