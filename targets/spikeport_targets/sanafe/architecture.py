"""An architecture file of just the needed size, from the constants of the model ``loihi1-sanafe2025``.

The file that SANA-FE ships takes 1.7 GB: 1024 input units on each of 128 cores. Latencies are those of its
``arch/loihi.yaml`` (Boyle et al., TCAD 2025).
"""

from __future__ import annotations

import json
from typing import Any

from spikeport.costs.model import Model

SYNC = {1: 0.6e-6, 2: 1.0e-6, 4: 1.4e-6, 29: 1.8e-6}  # seconds by tiles, arch/loihi.yaml
COMPARTMENTS = 1024  # of a core: the size of SANA-FE's accumulator and neuron models
ACCESS = 51.2e-12  # joule, arch/loihi.yaml: soma, energy_access_neuron; the rest of update_active is the update


def architecture(model: Model, columns: int, rows: int, cores: int, units: int, inputs: int) -> str:
    """YAML (as JSON, which YAML contains): ``columns`` x ``rows`` tiles of ``cores`` cores with ``units`` replay units.

    Three kinds of soma: `inputs` cost nothing, `replays` cost access and update at every step and play a train back,
    `lif` computes. The first tile has more cores, enough for ``inputs`` values of the input.
    """
    spike = model["spike"].nominal
    replay = _soma("replays", units, "input", model["update_active"].nominal, 0.0, spike, (9.7e-9, 0.0, 30e-9))
    computing = _soma(
        "lif", 1, "leaky_integrate_fire", ACCESS, model["update_active"].nominal - ACCESS, spike, (6e-9, 3.7e-9, 30e-9)
    )
    free = _soma("inputs", min(inputs, COMPARTMENTS), "input", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    plain = _core(f"core[0..{cores - 1}]", model, [replay, computing])
    entry = _core(f"entry[0..{entry_cores(inputs) - 1}]", model, [free])
    hops = {f"energy_{way}_hop": model["hop_north_south"].nominal for way in ("north", "south")}
    hops |= {f"energy_{way}_hop": model["hop_east_west"].nominal for way in ("east", "west")}
    hops |= {f"latency_{way}_hop": 6.5e-9 for way in ("north", "south")}
    hops |= {f"latency_{way}_hop": 4.1e-9 for way in ("east", "west")}
    tiles: list[dict[str, Any]] = [{"name": "first", "attributes": hops, "core": [plain, entry]}]
    if columns * rows > 1:
        tiles.append({"name": f"tile[1..{columns * rows - 1}]", "attributes": hops, "core": [plain]})
    mesh = {
        "topology": "mesh",
        "width": columns,
        "height": rows,
        "link_buffer_size": 16,
        "sync_model": "table",
        "latency_sync": SYNC,
    }
    return _yaml({"architecture": {"name": "spikeport", "attributes": mesh, "tile": tiles}})


def entry_cores(inputs: int) -> int:
    """How many further cores the first tile has, for the values of the input."""
    return max(1, -(-inputs // COMPARTMENTS))


def _core(name: str, model: Model, soma: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "attributes": {"buffer_position": "soma", "buffer_inside_unit": False, "max_neurons_supported": COMPARTMENTS},
        "axon_in": [_unit("axon_in", energy_message_in=0.0, latency_message_in=16e-9)],
        "synapse": [
            _unit(
                "dense",
                model="current_based",
                energy_process_spike=model["synapse_dense"].nominal,
                latency_process_spike=3.8e-9,
            ),
            _unit(
                "conv",
                model="current_based",
                energy_process_spike=model["synapse_conv"].nominal,
                latency_process_spike=3.1e-9,
            ),
        ],
        "dendrite": [_unit("dendrite", model="accumulator", energy_update=0.0, latency_update=0.0)],
        "soma": soma,
        "axon_out": [_unit("axon_out", energy_message_out=model["message"].nominal, latency_message_out=5.1e-9)],
    }


def _unit(name: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "attributes": attributes}


def _soma(
    name: str, count: int, model: str, access: float, update: float, spike: float, seconds: tuple[float, float, float]
) -> dict[str, Any]:
    return _unit(
        name if model != "input" else f"{name}[0..{max(count, 2) - 1}]",
        model=model,
        energy_access_neuron=access,
        energy_update_neuron=update,
        energy_spike_out=spike,
        latency_access_neuron=seconds[0],
        latency_update_neuron=seconds[1],
        latency_spike_out=seconds[2],
    )


def _yaml(value: dict[str, Any]) -> str:
    """JSON with number keys unquoted, so that the table of barriers reads as numbers."""
    text = json.dumps(value, indent=1)
    for key in SYNC:
        text = text.replace(f'"{key}": {json.dumps(SYNC[key])}', f"{key}: {json.dumps(SYNC[key])}")
    return text + "\n"
