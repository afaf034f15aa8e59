"""Builds a planned network of xylosim's and runs it. Runs in a Python of its own: imports nothing of ours.

    python worker.py FOLDER

FOLDER holds ``plan-*``, each with plan.json, plan.npz and done.npy, which counts finished samples; result.npz is
written beside them. Spikes, currents and membranes are xylosim's. From its recordings this says where a number went
beyond 16 bits: xylosim adds one event after the other, and what is added and taken in one step may saturate between.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from xylosim.v2 import XyloLayer, XyloSynapse

LOW, TOP = -(2**15), 2**15 - 1
CURRENT, MEMBRANE, BETWEEN = 1, 2, 4  # flags: the sum of a step, a membrane, a sum on its way there

Arrays = dict[str, Any]


class Chip:
    """One network; synapses are kept here, since xylosim does not hold them."""

    def __init__(self, arrays: Arrays, shifts: dict[str, int]) -> None:
        self.arrays, self.steps = arrays, arrays["input"].shape[1]
        self.weights = {name: arrays[f"{name}/weight"].astype(np.int64) << shift for name, shift in shifts.items()}
        self.synapses = {name: synapses(arrays[f"{name}/weight"]) for name in shifts}
        hidden, out = (self.numbers(name) for name in ("hidden", "out"))
        self.layer = XyloLayer(
            synapses_in=self.synapses["input"],
            synapses_rec=self.synapses["hidden"],
            synapses_out=self.synapses["out"],
            aliases=[[] for _ in hidden["threshold"]],
            threshold=hidden["threshold"],
            threshold_out=out["threshold"],
            has_bias=True,
            bias=hidden["bias"],
            bias_out=out["bias"],
            weight_shift_inp=shifts["input"],
            weight_shift_rec=shifts["hidden"],
            weight_shift_out=shifts["out"],
            dash_mem=hidden["membrane"],
            dash_mem_out=out["membrane"],
            dash_syns=[[bits] for bits in hidden["current"]],
            dash_syns_out=[[bits] for bits in out["current"]],
            name="network",
        )
        begins = np.concatenate([arrays[f"{name}/first"][arrays[f"{name}/bias"] != 0] for name in ("hidden", "out")])
        self.cuts = [0, *(int(step) for step in np.unique(begins) if 0 < step < self.steps), self.steps]

    def numbers(self, population: str) -> dict[str, list[int]]:
        keys = ("threshold", "bias", "membrane", "current")
        return {key: self.arrays[f"{population}/{key}"].tolist() for key in keys}

    def run(self, events: Any) -> Arrays:
        """One sample [steps, channels], from zero; biases enter when their layer begins."""
        self.layer.reset_all()
        pieces: list[Arrays] = []
        for start, stop in zip(self.cuts, self.cuts[1:], strict=False):
            self.let_in(start)
            self.layer.evolve(events[start:stop].tolist())
            pieces.append(self.recorded())
        records = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
        hidden = records["hidden/spikes"].astype(np.int64)
        late = np.concatenate([np.zeros_like(hidden[:1]), hidden[:-1]])
        come = {"hidden": [(events.astype(np.int64), "input"), (late, "hidden")], "out": [(late, "out")]}
        for name, arriving in come.items():
            sums = sum(spikes @ self.weights[which] for spikes, which in arriving)
            records[f"{name}/flags"] = self.flags(name, records, sums)
        return {key: value for key, value in records.items() if not key.endswith("/current")}

    def let_in(self, step: int) -> None:
        for name, neurons in (("hidden", self.layer.iaf_neurons), ("out", self.layer.iaf_neurons_out)):
            biases, first = self.arrays[f"{name}/bias"].tolist(), self.arrays[f"{name}/first"].tolist()
            for neuron, bias, begins in zip(neurons, biases, first, strict=True):
                neuron.bias = bias if begins <= step else 0

    def recorded(self) -> Arrays:
        layer = self.layer
        steps = len(layer.rec_recurrent_spikes)

        def by_step(rows: Any) -> Any:
            return np.asarray(rows, np.int16).reshape(-1, steps).T

        return {
            "hidden/spikes": np.asarray(layer.rec_recurrent_spikes, np.uint8),
            "hidden/membranes": by_step(layer.rec_v_mem),
            "hidden/current": by_step(layer.rec_i_syn),
            "out/spikes": np.asarray(layer.rec_out_spikes, np.uint8).reshape(steps, -1),
            "out/membranes": by_step(layer.rec_v_mem_out),
            "out/current": by_step(layer.rec_i_syn_out),
        }

    def flags(self, name: str, records: Arrays, sums: Any) -> Any:
        """What went beyond 16 bits, from the recordings and from ``sums`` [steps, neurons] as they arrive."""
        current, v, spikes = (records[f"{name}/{key}"].astype(np.int64) for key in ("current", "membranes", "spikes"))
        numbers = {key: self.arrays[f"{name}/{key}"].astype(np.int64) for key in ("threshold", "bias", "first")}
        exact = before(current) + sums
        once = np.clip(exact, LOW, TOP)
        between = once - dash(once, self.arrays[f"{name}/current"]) != current
        bias = numbers["bias"] * (np.arange(self.steps)[:, None] >= numbers["first"])
        kept = before(v) - dash(before(v), self.arrays[f"{name}/membrane"])
        membrane = v + spikes * numbers["threshold"] != kept + current + bias
        return (CURRENT * (exact != once) | MEMBRANE * membrane | BETWEEN * between).astype(np.uint8)


def before(values: Any) -> Any:
    """[steps, neurons] a step earlier, zero at first."""
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def dash(values: Any, bits: Any) -> Any:
    """By how much a decay takes from values: v >> bits, one at least."""
    shifted = values >> bits
    return np.where(shifted == 0, np.sign(values), shifted)


def synapses(weight: Any) -> list[list[XyloSynapse]]:
    """Of each source those whose weight in [from, to] is not zero."""
    return [[XyloSynapse(int(to), 0, int(row[to])) for to in np.flatnonzero(row)] for row in weight]


def run(folder: Path) -> None:
    """All samples of one plan, one after the other."""
    plan = json.loads((folder / "plan.json").read_text())
    with np.load(folder / "plan.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    done = np.load(folder / "done.npy", mmap_mode="r+")
    chip, samples = Chip(arrays, plan["shifts"]), []
    begun = time.perf_counter()
    for events in arrays["input"]:
        samples.append(chip.run(events))
        done[0] = len(samples)
    results = {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}
    results["seconds"] = np.asarray(time.perf_counter() - begun)
    with (folder / "result.part").open("wb") as file:
        np.savez(file, allow_pickle=False, **results)
    (folder / "result.part").rename(folder / "result.npz")


def main(folder: Path) -> None:
    """Run every plan; leave the traceback of what goes wrong where our side looks for it."""
    try:
        for plan in sorted(folder.glob("plan-*")):
            run(plan)
    except BaseException:
        (folder / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
