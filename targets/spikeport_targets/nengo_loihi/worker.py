"""Builds a planned network in nengo-loihi's emulator and runs it. Runs in a Python of its own: imports nothing of ours.

    python worker.py FOLDER

FOLDER holds ``plan-*``, each with plan.json, plan.npz and done.npy, which counts finished samples; result.npz is
written beside them. Sums, decays, thresholds and overflows are the emulator's. What only an emulator can be told
between two steps is told here: each step's thresholds, that biases wait for a layer's first step, the host's currents.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.builder.discretize import shift
from nengo_loihi.emulator import EmulatorInterface
from nengo_loihi.inputs import SpikeInput
from numpy.typing import NDArray

Facts = dict[str, Any]  # a part of plan.json
Arrays = dict[str, NDArray[Any]]

MEMBRANE_TOP = 2**23 - 1  # nengo-loihi: vmax = 2**(9 + 2 * 7) - 1, vmin = -2**23 + 1
WEIGHT_SHIFT = 6  # bits by which the chip shifts every weight (nengo_loihi.builder.discretize.discretize_weights)
KINDS = (
    "q0",
    "current",
    "u2",
    "voltage",
)  # what may overflow, as the emulator names it: sum, current, with bias, membrane


def block_of(spec: Facts, numbers: Arrays) -> Any:
    """The compartments of a block."""
    block = LoihiBlock(spec["size"], label=spec["name"])
    cells = block.compartment
    for key in ("bias", "decay_v", "decay_u"):
        setattr(cells, key, numbers[key].astype(np.int32))
    cells.vth = numbers["threshold"][0].astype(np.int32)
    cells.refract_delay = np.ones(spec["size"], np.int32)  # none: the emulator counts down in the step of the spike
    cells.scale_u = cells.scale_v = False
    cells.vmin, cells.vmax = -MEMBRANE_TOP, MEMBRANE_TOP
    return block


def synapse_of(spec: Facts, entries: Arrays) -> Any:
    """Weights as the chip keeps them: each mantissa shifted by its exponent first, then by `WEIGHT_SHIFT`."""
    weights = np.left_shift(shift(entries["mantissas"].astype(np.int32), spec["exponent"]), WEIGHT_SHIFT)
    order = np.argsort(entries["inputs"], kind="stable")
    ends = np.cumsum(np.bincount(entries["inputs"], minlength=spec["rows"]))[:-1]
    synapse = Synapse(spec["rows"])
    synapse._set_weights_indices(
        np.split(weights[order], ends),
        indices=np.split(entries["outputs"][order], ends),
        weight_dtype="int32",
        compression=3,
    )
    return synapse


def build(plan: Facts, arrays: Arrays) -> tuple[Any, list[Any], dict[int, Any]]:
    """The model, its blocks, and its inputs with the steps that each waits."""
    model = Model()
    blocks: list[Any] = []
    for i, spec in enumerate(plan["blocks"]):
        numbers = {key: arrays[f"block/{i}/{key}"] for key in ("threshold", "bias", "decay_v", "decay_u")}
        blocks.append(block_of(spec, numbers))
        model.add_block(blocks[-1])
    synapses: list[Any] = []
    for i, spec in enumerate(plan["synapses"]):
        synapses.append(
            synapse_of(spec, {key: arrays[f"synapses/{i}/{key}"] for key in ("inputs", "outputs", "mantissas")})
        )
        blocks[spec["block"]].add_synapse(synapses[-1])
    inputs: dict[int, Any] = {}
    for i, spec in enumerate(plan["axons"]):
        sender = blocks[spec["block"]]
        if spec["block"] < 0:
            if spec["wait"] not in inputs:
                inputs[spec["wait"]] = SpikeInput(arrays["input"].shape[2])
                model.add_input(inputs[spec["wait"]])
            sender = inputs[spec["wait"]]
        for slot in arrays[f"axons/{i}"]:
            axon = Axon(int((slot >= 0).sum()))
            axon.target = synapses[spec["synapses"]]
            axon.set_compartment_axon_map(slot)
            sender.add_axon(axon)
    return model, blocks, inputs


class Watched:
    """The emulator, with what overflows counted a compartment, and currents of the host added to its sums."""

    def __init__(self, model: Any) -> None:
        self.emulator = EmulatorInterface(model, seed=0)
        self.cells = self.emulator.compartment
        self.counts = {kind: np.zeros(self.cells.n_compartments, np.int64) for kind in KINDS}
        self.host = np.zeros(self.cells.n_compartments, np.int32)
        self.sums = np.zeros_like(self.host)  # of this step, before the accumulator
        overflow, decay, update = self.cells._overflow, self.cells._decay_voltage, self.emulator.synapses.update_input

        def counted(x: NDArray[np.int32], bits: int, name: str) -> None:
            before = x.copy()
            overflow(x, bits=bits, name=name)
            self.counts[name] += before != x

        def saturated(x: NDArray[np.int32], u: NDArray[np.int32]) -> NDArray[np.int32]:
            value: NDArray[np.int32] = decay(x, u)
            self.counts["voltage"] += np.abs(value) > MEMBRANE_TOP
            return value

        def with_host(x: NDArray[np.int32]) -> None:
            update(x)
            x[0] += self.host
            self.sums[:] = x[0]

        self.cells._overflow, self.cells._decay_voltage = counted, saturated
        self.emulator.synapses.update_input = with_host

    def begin(self) -> None:
        """Nothing is left of the sample before."""
        for state in (
            self.cells.input,
            self.cells.current,
            self.cells.voltage,
            self.cells.spiked,
            self.cells.ref_count,
        ):
            state[:] = 0
        self.emulator.t = 0


def run(folder: Path) -> None:
    """All samples of one plan, one after the other."""
    plan = json.loads((folder / "plan.json").read_text())
    with np.load(folder / "plan.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    done = np.load(folder / "done.npy", mmap_mode="r+")
    model, blocks, inputs = build(plan, arrays)
    watched = Watched(model)
    places = [watched.emulator.block_info.slices[block] for block in blocks]
    results: dict[str, Any] = {}
    for i, spec in enumerate(plan["blocks"]):
        for key in spec["kept"]:
            kind = bool if key == "spikes" else np.int32
            results[f"{i}/{key}"] = np.zeros((plan["samples"], plan["steps"], spec["size"]), kind)
        if spec["kept"]:
            results[f"{i}/overflows"] = np.zeros(len(KINDS), np.int64)
    begun = time.perf_counter()
    for sample in range(plan["samples"]):
        one_sample(plan, arrays, watched, places, inputs, sample, results)
        done[0] = sample + 1
    results["seconds"] = np.asarray(time.perf_counter() - begun)
    with (folder / "result.part").open("wb") as file:
        np.savez(file, **results)
    (folder / "result.part").rename(folder / "result.npz")


def one_sample(
    plan: Facts,
    arrays: Arrays,
    watched: Watched,
    places: list[slice],
    inputs: dict[int, Any],
    sample: int,
    results: Arrays,
) -> None:
    """Step by step; a layer's own steps begin at its start."""
    frames = arrays["input"][sample]
    for wait, source in inputs.items():
        source.spikes.clear()
        for t, frame in enumerate(frames):  # what is added at step t + 1 arrives at step t + 2, in a layer of depth 1
            source.add_spikes(t + 1 + wait, np.repeat(np.arange(frame.size), frame))
    watched.begin()
    cells = watched.cells
    for step in range(plan["emulated"]):
        prepare(plan, arrays, watched, places, sample, step)
        before = {kind: counts.copy() for kind, counts in watched.counts.items()}
        watched.emulator.step()
        for i, (spec, place) in enumerate(zip(plan["blocks"], places, strict=True)):
            t = step - spec["start"]
            if spec["kept"] and 0 <= t < plan["steps"]:
                states = {"spikes": cells.spiked, "membrane": cells.voltage, "sums": watched.sums}
                for key in spec["kept"]:
                    results[f"{i}/{key}"][sample, t] = states[key][place]
                for k, kind in enumerate(KINDS if "sums" not in spec["kept"] else ()):  # the host's do not overflow
                    results[f"{i}/overflows"][k] += int((watched.counts[kind] - before[kind])[place].sum())


def prepare(plan: Facts, arrays: Arrays, watched: Watched, places: list[slice], sample: int, step: int) -> None:
    """Thresholds, biases and the host's currents of the step that comes."""
    cells = watched.cells
    watched.host[:] = 0
    for i, (spec, place) in enumerate(zip(plan["blocks"], places, strict=True)):
        t = step - spec["start"]
        within = 0 <= t < plan["steps"]
        cells.vth[place] = arrays[f"block/{i}/threshold"][min(max(t, 0), plan["steps"] - 1)]
        cells.bias[place] = arrays[f"block/{i}/bias"] if within else 0
        if i in plan["currents"] and within:
            watched.host[place] = np.left_shift(arrays[f"current/{i}"][sample, t].astype(np.int32), WEIGHT_SHIFT)


def main(folder: Path) -> None:
    """Run every plan; leave the traceback of what goes wrong where our side looks for it."""
    warnings.filterwarnings("ignore", message="Overflow in")  # counted
    try:
        for plan in sorted(folder.glob("plan-*")):
            run(plan)
    except BaseException:
        (folder / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
