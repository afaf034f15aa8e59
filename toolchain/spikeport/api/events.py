"""``spikeport events``: what every layer did at every timestep, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.api.execute import execute
from spikeport.api.load import Model, load_data, load_model
from spikeport.api.simulate import read_array
from spikeport.energy import Traffic, derive
from spikeport.findings import fail
from spikeport.fit import Chip, traffic
from spikeport.fit import Mapping as Placement
from spikeport.fit.fit import fit
from spikeport.graph import LIF, Array, Graph, Loihi, Synapse
from spikeport.record import Record, SynapseEvents
from spikeport.targets import Progress as Callback
from spikeport.targets import Request, silent


@dataclass(frozen=True)
class Counted:
    """A model, the record of a run that has all events, and the samples of the run."""

    model: Model
    record: Record
    samples: Array
    traffic: Mapping[str, Traffic] | None = None  #: per sample, by sending layer; None without a chip to map on

    def as_dict(self) -> dict[str, Any]:
        """Counts by layer and timestep, summed over samples, and what each layer holds in bytes; for JSON."""
        graph, record = self.model.graph, self.record
        return {
            "model": self.model.name,
            "target": record.target,
            "samples": record.samples,
            "timesteps": graph.timesteps,
            "layers": {name: _layer(graph, name, record) for name in graph.nodes_of(Synapse, LIF)},
            "traffic": None if self.traffic is None else {
                name: {
                    "messages": round(sent.messages * record.samples),
                    "hops_east_west": round(sent.east_west * record.samples),
                    "hops_north_south": round(sent.north_south * record.samples),
                }
                for name, sent in self.traffic.items()
            },
        }  # fmt: skip


def events(
    model: Model | Graph | Path | str,
    data: str | None = None,
    *,
    samples: Array | Path | str | None = None,
    split: str = "test",
    target: str | None = None,
    limit: int | None = None,
    batch: int | None = None,
    chip: str | Path | Chip | None = None,
    progress: Callback = silent,
) -> Counted:
    """Run a model on a data set, or on ``samples`` (an array or a .npy file), and count.

    The engine counts while it runs; for any other target the counts are derived from its spike trains. With a ``chip``
    the messages and hops of a mapping on it are counted too, spike by spike. Raises SP721 for an unknown chip, SP722
    for a graph that has no mapping, SP707 unless exactly one of ``data`` and ``samples`` is given, and what
    `execute` raises.
    """
    loaded = load_model(model)
    if (data is None) == (samples is None):
        fail("SP707", "give a data set or an input file, one of the two", mend="use --data NAME or --input FILE.npy")
    if data is not None:
        x = load_data(data, split, loaded.graph, limit).x
    else:
        assert samples is not None
        x = samples if isinstance(samples, np.ndarray) else read_array(Path(samples))
    engine = "integer" if isinstance(loaded.graph.arithmetic, Loihi) else "reference"
    name = target or engine
    made = None if chip is None else Placement(loaded.graph, fit(loaded.graph, chip))
    request = Request(events=name == engine, trains=name != engine or made is not None, batch=batch, progress=progress)
    record = execute(loaded, name, x, request)
    sent = None if made is None else traffic(made, record, x)
    return Counted(loaded, derive(loaded.graph, x, record), x, sent)


def _layer(graph: Graph, name: str, record: Record) -> dict[str, Any]:
    found = record.events[name]
    values = {item.name: getattr(found, item.name) for item in fields(found)}
    plain = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in values.items()}
    if isinstance(found, SynapseEvents):
        return {"kind": "synapse", **plain, **_macs(found), "weight_bytes": weight_bytes(graph, name)}
    return {"kind": "neurons", **plain, "state_bytes": state_bytes(graph, name)}


def _macs(found: SynapseEvents) -> dict[str, int]:
    """Multiply-adds of an analog layer: where its constant sums are cached, and where each step computes them anew."""
    if not (found.analog or (found.constant and found.graded.any())):
        return {"macs_cached": 0, "macs_every_step": 0}
    every = int(found.dense.sum())
    return {"macs_cached": every // len(found.dense) if found.constant else every, "macs_every_step": every}


def weight_bytes(graph: Graph, name: str) -> int:
    """Bytes of a synapse's weights: mantissas of the profile's bits in Loihi arithmetic, else as they are stored."""
    node = graph.nodes[name]
    assert isinstance(node, Synapse)
    if isinstance(graph.arithmetic, Loihi):
        return -(-int(node.weight.size) * graph.arithmetic.profile.weight_bits // 8)
    return int(node.weight.nbytes)


def state_bytes(graph: Graph, name: str) -> int:
    """Bytes of a neuron layer's membranes: the profile's state bits in Loihi arithmetic, else a float each."""
    node = graph.nodes[name]
    assert isinstance(node, LIF)
    if isinstance(graph.arithmetic, Loihi):
        return -(-node.size * graph.arithmetic.profile.state_bits // 8)
    return node.size * (8 if graph.arithmetic.dtype == "float64" else 4)
