"""Facts of files are of the types that they are said to have, or the file is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx as peer
import pytest

from spikeport.findings import SpikeportError
from spikeport.formats import facts, onnx
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout

NODES = {
    "in": Input((2,), low=0, high=1),
    "fc": Linear(np.eye(2, dtype=np.int8), None),
    "lif": LIF((2,), np.asarray(2048), np.asarray([3, 5]), compare=">"),
    "out": Readout((2,), np.ones(2, int), np.asarray(0)),
}
GRAPH = Graph.chain(NODES, 2, arithmetic=Loihi(LOIHI2))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("timesteps",), 2.0),
        (("timesteps",), True),
        (("after_end",), None),
        (("version",), True),
        (("time",), "later"),
        (("time",), ["scan"]),
        (("edges", 0), ["in", 1]),
        (("nodes", 0, "facts", "low"), "0"),
        (("nodes", 0, "facts", "low"), {"float": "1"}),
        (("nodes", 0, "facts", "shape"), [2.0]),
        (("nodes", 1, "facts", "exponent"), 0.5),
        (("nodes", 1, "facts", "exponent"), False),
        (("nodes", 2, "facts", "compare"), 1),
        (("nodes", 2, "arrays", "threshold", "shape"), [-1]),
        (("nodes", 2, "arrays", "threshold", "shape"), None),
        (("arithmetic", "profile", "weight_bits"), 8.0),
        (("arithmetic", "profile", "schedule"), 1),
        (("provenance",), []),
    ],
)
def test_a_fact_of_another_type_is_refused(tmp_path, place, value):
    """Each of these was read without a word, or crashed; 2.0 steps are no 2 steps."""
    onnx.write(GRAPH, tmp_path / "a.onnx")
    model = peer.load(tmp_path / "a.onnx")
    (prop,) = model.metadata_props
    about = json.loads(prop.value)
    inner = about
    for key in place[:-1]:
        inner = inner[key]
    assert json.dumps(inner[place[-1]]) != json.dumps(value)
    inner[place[-1]] = value
    prop.value = json.dumps(about)
    peer.save(model, tmp_path / "b.onnx")
    with pytest.raises(SpikeportError) as caught:
        onnx.read(tmp_path / "b.onnx")
    assert caught.value.code == "SP250"


@pytest.mark.parametrize("name", NODES)
def test_plain_values_in_the_place_of_arrays_and_arrays_in_theirs_are_refused(name):
    plain, arrays = facts.node_facts(NODES[name])
    assert facts.node_from(plain, arrays) == NODES[name]
    for key in arrays:
        with pytest.raises(TypeError, match=key):
            facts.node_from({**plain, key: 1.0}, {k: v for k, v in arrays.items() if k != key})
    for key in set(plain) - {"type", "bias"}:  # a bias may be an array
        with pytest.raises(TypeError, match=key):
            facts.node_from({k: v for k, v in plain.items() if k != key}, {**arrays, key: np.ones(2)})
