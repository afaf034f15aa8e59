"""What the worker shall build and run, as plain arrays: the file format between it and us. Needs no nengo."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from spikeport.graph import Array
from spikeport_targets.plans import DONE


@dataclass(frozen=True)
class Block:
    """Neurons with one set of synapses: a layer, a readout, or relays that hand spikes on a step later."""

    name: str  #: of the node; "" for relays
    size: int
    start: int  #: the emulator's step, from 0, at which it begins
    kept: tuple[str, ...]  #: what is written down at each of its steps: spikes, membrane, sums
    numbers: dict[str, Array] = field(default_factory=dict)  #: threshold [T, size]; bias, decay_v, decay_u [size]


@dataclass(frozen=True)
class Synapses:
    """All synapses of one connection into a block."""

    block: int  #: into which they lead
    rows: int  #: input positions
    exponent: int
    entries: dict[str, Array]  #: inputs, outputs, mantissas, [n] each


@dataclass(frozen=True)
class Axons:
    """From the neurons of a block, or the values of the input (block -1), to the input positions of synapses."""

    block: int
    wait: int  #: steps by which the input is sent later; 0 for a block
    synapses: int
    slots: Array  #: [messages, neurons]: the position of each neuron's first, second, … message; -1 for none


@dataclass(frozen=True)
class Results:
    """What a run left behind."""

    blocks: dict[str, dict[str, Array]]  #: node -> what was kept, [N, T, size] each, and ``overflows``, a count a kind
    seconds: float  #: of the emulator's steps


@dataclass
class Plan:
    """A network and its samples."""

    steps: int  #: of the network
    emulated: int  #: of the emulator, a sample
    input: Array  #: [N, T, values], whole numbers: so many messages each
    blocks: list[Block] = field(default_factory=list)
    synapses: list[Synapses] = field(default_factory=list)
    axons: list[Axons] = field(default_factory=list)
    currents: dict[int, Array] = field(default_factory=dict)  #: block -> [N, T, size], what the host adds to its sums

    def write(self, folder: Path) -> None:
        """``plan.json`` and ``plan.npz`` into a new folder, and a file for counting samples."""
        folder.mkdir()
        arrays: dict[str, Array] = {"input": self.input}
        arrays |= {f"current/{i}": value for i, value in self.currents.items()}
        for i, block in enumerate(self.blocks):
            arrays |= {f"block/{i}/{key}": value for key, value in block.numbers.items()}
        for i, synapses in enumerate(self.synapses):
            arrays |= {f"synapses/{i}/{key}": value for key, value in synapses.entries.items()}
        arrays |= {f"axons/{i}": axons.slots for i, axons in enumerate(self.axons)}
        with (folder / "plan.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        described = {
            "steps": self.steps,
            "emulated": self.emulated,
            "samples": len(self.input),
            "blocks": [_plain(block, "numbers") for block in self.blocks],
            "synapses": [_plain(synapses, "entries") for synapses in self.synapses],
            "axons": [_plain(axons, "slots") for axons in self.axons],
            "currents": list(self.currents),
        }
        (folder / "plan.json").write_text(json.dumps(described))
        np.save(folder / DONE, np.zeros(1, np.int64))

    def read(self, folder: Path) -> Results:
        """What the worker wrote down."""
        with np.load(folder / "result.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        blocks = {
            block.name: {key: arrays[f"{i}/{key}"] for key in (*block.kept, "overflows")}
            for i, block in enumerate(self.blocks)
            if block.kept
        }
        return Results(blocks, float(arrays["seconds"]))


def _plain(item: Block | Synapses | Axons, without: str) -> dict[str, object]:
    return {key: value for key, value in asdict(item).items() if key != without}
