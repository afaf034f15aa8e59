"""The child process: builds the planned chip in SANA-FE and runs it. The only place that imports sanafe."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from spikeport_targets.guard import reporting


def main(folder: Path) -> None:
    """Run the plan in ``folder``; write result.json, and spikes.npz of computing neurons; or failure.txt."""
    with reporting(folder):
        (folder / "result.json").write_text(json.dumps(run(folder)), encoding="utf-8")


def run(folder: Path) -> dict[str, Any]:
    """Build, run all steps, and add up what they cost."""
    import sanafe

    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    architecture = sanafe.load_arch(str(folder / "chip.yaml"))  # kept alive: its cores point into it
    chip = sanafe.SpikingChip(architecture)
    chip.load(build(sanafe, plan, arrays, architecture.cores()))
    computing = [place for place, group in enumerate(plan["groups"]) if group["soma"] == "lif"]
    if not computing:
        return total([chip.sim(plan["steps"], timing_model="simple")])
    spikes = {place: np.zeros((plan["steps"], len(arrays[f"g{place}/cores"])), dtype=bool) for place in computing}
    results = []
    for step in range(plan["steps"]):
        for place in computing:
            configure(chip.mapped_neuron_groups[f"g{place}"], arrays, place, step)
        results.append(chip.sim(1, timing_model="simple", spike_trace=True))
        for address in results[-1]["spike_trace"][0]:
            place = int(address.group_name[1:])
            if place in spikes:
                spikes[place][step, address.neuron_offset] = True
    np.savez(folder / "spikes.npz", allow_pickle=False, **{str(place): train for place, train in spikes.items()})
    return total(results)


def build(sanafe: Any, plan: dict[str, Any], arrays: Any, cores: Any) -> Any:
    """The network, every neuron on its core; replayed neurons each on a unit of their own."""
    network = sanafe.Network()
    groups = []
    used: dict[tuple[str, int], int] = {}
    for place, group in enumerate(plan["groups"]):
        at = arrays[f"g{place}/cores"]
        kinds = {edge["kind"] for edge in plan["edges"] if edge["target"] == place} or {"dense"}
        (kind,) = kinds
        neurons = network.create_neuron_group(
            group["name"], len(at), default_synapse_hw_name=kind, model_attributes=group["attributes"]
        )
        train = arrays.get(f"g{place}/train")
        for neuron, core in enumerate(at.tolist()):
            unit = group["soma"]
            attributes = {}
            if train is not None:
                slot = used.get((unit, core), 0)
                used[unit, core] = slot + 1
                unit = f"{unit}[{slot}]"
                attributes = {"spikes": train[:, neuron].tolist()}
            neurons[neuron].set_attributes(soma_hw_name=unit, model_attributes=attributes, log_spikes=train is None)
            neurons[neuron].map_to_core(cores[core])
        groups.append(neurons)
    for place, edge in enumerate(plan["edges"]):
        weight = arrays[f"e{place}/weight"].tolist()
        pairs = [tuple(pair) for pair in arrays[f"e{place}/pairs"].tolist()]
        groups[edge["source"]].connect_neurons_sparse(groups[edge["target"]], {"weight": weight}, pairs)
    return network


def configure(neurons: Any, arrays: Any, place: int, step: int) -> None:
    """Thresholds and biases of one step."""
    threshold, bias = arrays[f"g{place}/threshold"][step], arrays[f"g{place}/bias"][step]
    for neuron, (theta, b) in enumerate(zip(threshold.tolist(), bias.tolist(), strict=True)):
        neurons[neuron].set_attributes(model_attributes={"threshold": theta, "bias": b})


def total(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over steps; energies in joule, time in seconds."""
    keys = {
        "spikes": "synaptic_events",
        "neurons_fired": "spikes",
        "packets_sent": "packets",
        "sim_time": "seconds",
        "neurons_updated": "updates",
    }
    sums: dict[str, Any] = {name: sum(result[key] for result in results) for key, name in keys.items()}
    sums["energy"] = {part: sum(result["energy"][part] for result in results) for part in results[0]["energy"]}
    return sums


if __name__ == "__main__":
    main(Path(sys.argv[1]))
