"""What the files of an old version say and do, as plain values: written beside them then, compared with now."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

import numpy as np

FILES = Path(__file__).parent / "files_0_1"


def read(name):
    """The facts that stand beside a file: ``formats/image.json`` for the network called ``formats/image``."""
    return json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))


def of_array(array):
    """Type, shape and every bit, little-endian whatever the machine."""
    array = np.ascontiguousarray(array)
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return f"{array.dtype.name} {list(array.shape)} {hashlib.sha256(data).hexdigest()}"


def of_value(value):
    """A field of a node: arrays by their bits, the rest as JSON has it; infinities as text, which JSON has not."""
    if isinstance(value, np.ndarray):
        return of_array(value)
    if is_dataclass(value):
        return {
            "type": type(value).__name__,
            **{item.name: of_value(getattr(value, item.name)) for item in fields(value)},
        }
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def of_graph(graph):
    """Every node with every bit of its arrays, the edges, steps and arithmetic."""
    return {
        "order": list(graph.nodes),
        "edges": sorted(map(list, graph.edges)),
        "timesteps": graph.timesteps,
        "after_end": graph.after_end,
        "arithmetic": of_value(graph.arithmetic),
        "nodes": {name: of_value(node) for name, node in graph.nodes.items()},
    }


def of_record(record):
    """What a run did: outputs, spike counts of each layer and step, and every spike."""
    return {
        "outputs": record.outputs.tolist(),
        "output_type": record.outputs.dtype.name,
        "neurons": dict(record.neurons),
        "spike_counts": {name: counts.tolist() for name, counts in record.spike_counts.items()},
        "trains": {name: of_array(train.unpack()) for name, train in record.trains.items()},
    }


def of_events(record):
    """The event counts of a run, which are whole numbers."""
    plain = {name: asdict(events) for name, events in record.events.items()}
    return json.loads(json.dumps(plain, default=lambda counts: counts.tolist()))


def of_membranes(record):
    """The membranes of a run, by their bits."""
    return {name: of_array(value) for name, value in record.membranes.items()}


def holds(now, then):
    """Whether ``now`` has every key and value of ``then``; a later version may know more of a thing, never less."""
    if isinstance(then, dict) and isinstance(now, dict):
        return all(name in now and holds(now[name], value) for name, value in then.items())
    return now == then


def assert_same_run(record, then, tolerance):
    """Every spike, and outputs within ``tolerance``; 0 where they are whole numbers."""
    now = of_record(record)
    for exact in ("neurons", "spike_counts", "trains", "output_type"):
        assert now[exact] == then[exact], exact
    np.testing.assert_allclose(now["outputs"], then["outputs"], rtol=0, atol=tolerance)
