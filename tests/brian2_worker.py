"""Runs planned networks on Brian2Loihi. Runs in a Python of its own (brian2 is CeCILL-2.1): imports nothing of ours.

    python brian2_worker.py FOLDER

The files are those of the target nengo-loihi (`spikeport_targets/nengo_loihi/plan.py`). It takes one threshold and one
decay a layer, no bias, no current from outside, and input of zeros and ones.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import brian2
import brian2_loihi
import numpy as np

MIXED = brian2_loihi.synapse_sign_mode.MIXED  # weights are even: twice the mantissa, one less in the exponent


def group_of(spec, numbers):
    """The neurons of a block; where only its sums are read, the membrane forgets them at once."""
    (threshold,), (decay_u,) = np.unique(numbers["threshold"]), np.unique(numbers["decay_u"])
    (decay_v,) = [4096] if "sums" in spec["kept"] else np.unique(numbers["decay_v"])
    assert not numbers["bias"].any()
    return brian2_loihi.LoihiNeuronGroup(
        spec["size"],
        refractory=1,
        threshold_v_mant=int(threshold) >> 6,
        decay_v=int(decay_v),
        decay_I=int(decay_u)
        + 1,  # the chip adds one to what it is given (nengo_loihi: decay_int(x, decay_u, offset=1))
    )


def connected(spec, sender, receiver, entries, slots):
    """Every neuron with every neuron that its messages reach."""
    order = np.argsort(entries["inputs"], kind="stable")
    rows = entries["inputs"][order]
    neurons = np.tile(np.arange(slots.shape[1]), len(slots))[slots.ravel() >= 0]
    places = slots.ravel()[slots.ravel() >= 0]
    first = np.searchsorted(rows, places, side="left")
    counts = np.searchsorted(rows, places, side="right") - first
    at = order[np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())]
    if not len(at):
        return []
    synapses = brian2_loihi.LoihiSynapses(sender, receiver, w_exp=spec["exponent"] - 1, sign_mode=MIXED)
    synapses.connect(i=np.repeat(neurons, counts), j=entries["outputs"][at])
    synapses.w = 2 * entries["mantissas"][at].astype(int)
    return [synapses]


def build(plan, arrays):
    """The network, the generator of each wait, and a monitor for all that is kept."""
    groups = []
    for i, spec in enumerate(plan["blocks"]):
        groups.append(
            group_of(spec, {key: arrays[f"block/{i}/{key}"] for key in ("threshold", "bias", "decay_v", "decay_u")})
        )
    generators, synapses = {}, []
    for i, spec in enumerate(plan["axons"]):
        into, wait = plan["synapses"][spec["synapses"]], spec["wait"]
        if spec["block"] < 0 and wait not in generators:
            generators[wait] = brian2_loihi.LoihiSpikeGeneratorGroup(
                arrays["input"].shape[2], np.zeros(0, int), np.zeros(0)
            )
        sender = generators[wait] if spec["block"] < 0 else groups[spec["block"]]
        entries = {key: arrays[f"synapses/{spec['synapses']}/{key}"] for key in ("inputs", "outputs", "mantissas")}
        synapses += connected(into, sender, groups[into["block"]], entries, arrays[f"axons/{i}"])
    monitors = {}
    for i, spec in enumerate(plan["blocks"]):
        for key in spec["kept"]:
            spikes = key == "spikes"
            monitors[i, key] = (
                brian2_loihi.LoihiSpikeMonitor(groups[i])
                if spikes
                else brian2_loihi.LoihiStateMonitor(groups[i], "v", record=True)
            )
    network = brian2_loihi.LoihiNetwork(*groups, *generators.values(), *synapses, *monitors.values())
    return network, generators, monitors


def run(folder):
    plan = json.loads((folder / "plan.json").read_text())
    with np.load(folder / "plan.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    assert not plan["currents"]
    assert arrays["input"].max(initial=0) <= 1
    done = np.load(folder / "done.npy", mmap_mode="r+")
    network, generators, monitors = build(plan, arrays)
    results = {}
    for i, spec in enumerate(plan["blocks"]):
        for key in spec["kept"]:
            results[f"{i}/{key}"] = np.zeros(
                (plan["samples"], plan["steps"], spec["size"]), bool if key == "spikes" else np.int64
            )
        results[f"{i}/overflows"] = np.zeros(4, np.int64)  # it counts none
    network.store()
    for sample, frames in enumerate(arrays["input"]):
        network.restore()
        times, values = frames.nonzero()
        for wait, generator in generators.items():
            generator.set_spikes(values, (times + wait) * brian2.ms)
        network.run(plan["emulated"])
        for (i, key), monitor in monitors.items():
            kept = results[f"{i}/{key}"][sample]
            first = plan["blocks"][i]["start"] - 1  # a layer of depth 1 gets its input within the step
            if key == "spikes":
                steps = np.rint(np.asarray(monitor.t_) * 1000).astype(int) - first  # a step is a millisecond
                within = (steps >= 0) & (steps < plan["steps"])
                kept[steps[within], np.asarray(monitor.i)[within]] = True
            else:
                values = np.rint(np.asarray(monitor.v)).astype(np.int64).T
                before = max(0, -first)  # steps before anything can have arrived
                kept[before:] = values[first + before : first + plan["steps"]]
        done[0] = sample + 1
    results["seconds"] = np.asarray(0.0)
    with (folder / "result.part").open("wb") as file:
        np.savez(file, **results)
    (folder / "result.part").rename(folder / "result.npz")


def main(folder):
    brian2.prefs.codegen.target = "numpy"
    brian2.BrianLogger.suppress_name("method_choice")
    try:
        for plan in sorted(folder.glob("plan-*")):
            run(plan)
    except BaseException:
        (folder / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
