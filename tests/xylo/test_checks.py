"""What Xylo cannot do is refused by name, with the way; what only its simulator can do is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx as peer
import pytest

from formats.test_onnx_portable import KNOWN
from quantize_examples import convolutional
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LOIHI2, XYLO, CubaLIF, Delay, Graph, Input, Linear, Loihi, Readout, Reshape, Scale
from spikeport_targets.lava import Lava
from spikeport_targets.nengo_loihi import NengoLoihi
from spikeport_targets.xylo import Xylo
from spikeport_targets.xylo.checks import examined

T = 4


def neurons(size, most=31, **numbers):
    usual = {"decay": np.asarray(2048), "current_decay": np.asarray(3072), "bias": np.asarray(0)}
    usual |= {"gain": np.asarray(1), "reset": "subtract", "compare": ">=", "threshold": np.full(T, 50)}
    return CubaLIF((size,), most_spikes=most, **usual | numbers)


def network(arithmetic=Loihi(XYLO), edges=(), **changes):
    """Events through hidden neurons that feed back to themselves, into output neurons: all of it on the chip."""
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((3,), "events", low=0, high=15),
        "fc": Linear(rng.integers(-30, 60, (4, 3)), exponent=2),
        "hidden": neurons(4),
        "past": Delay((4,), 1),
        "back": Linear(rng.integers(-30, 30, (4, 4))),
        "fc2": Linear(rng.integers(-30, 60, (2, 4)), exponent=1),
        "out": neurons(2, 1),
    }
    ways = [("input", "fc"), ("fc", "hidden"), ("hidden", "past"), ("past", "back"), ("back", "hidden")]
    ways += [("hidden", "fc2"), ("fc2", "out"), *edges]
    return Graph(nodes | changes, tuple(ways), T, arithmetic)


def codes(graph, severity="error"):
    return [finding.code for finding in Xylo().check(graph) if finding.severity == severity]


def test_a_recurrent_network_has_its_place_and_every_spike_one_step():
    place, findings = examined(network())
    assert not [finding for finding in findings if finding.severity != "note"]
    assert (place.hidden, place.out) == (("hidden",), "out")
    assert place.depth == {"input": 0, "hidden": 0, "out": 1}
    assert place.shifts == {"input": 2, "hidden": 0, "out": 1}


def test_pools_and_scales_are_in_the_weights_and_a_common_factor_is_a_shift():
    graph = network(edges=[("past", "twice"), ("twice", "back")], twice=Scale(np.asarray(2)))
    edges = tuple(edge for edge in graph.edges if edge != ("past", "back"))
    place, _ = examined(graph.with_(edges=edges))
    assert np.array_equal(place.weights["hidden"], 2 * network()["back"].weight.T)
    assert place.shifts["hidden"] == 1


def test_what_the_chip_does_not_compute_is_refused():
    assert set(codes(convolutional())) == {"SP670", "SP134"}
    turned = network(
        edges=[("out", "turn"), ("turn", "sum")], turn=Reshape((0,), (2,)), sum=Readout((2,), np.ones(T, int))
    )
    assert codes(turned) == ["SP671"]


@pytest.mark.parametrize(
    ("graph", "code", "said"),
    [
        (network(Loihi(replace(XYLO, state_bits=20))), "SP672", "state_bits"),
        (network(input=Input((3,), "events", low=0, high=16)), "SP673", "0 ... 16 enter"),
        (network(input=Input((3,), "events", low=-1, high=1)), "SP673", "-1 ... 1 enter"),
        (network(hidden=neurons(4, 15)), "SP674", "up to 15 times a step"),
        (network(past=Delay((4,), 2)), "SP674", "after 2 steps, on the chip after 1"),
        (network(edges=[("fc2", "loop"), ("loop", "out"), ("loop", "loop")], loop=Delay((2,), 1)), "SP674", "a loop"),
        (
            network(
                fc2=Linear(np.array([[127, 1, 0, 0], [0, 0, 1, 1]])),
                edges=[("hidden", "fc3"), ("fc3", "out")],
                fc3=Linear(np.array([[1, 0, 0, 0], [0, 0, 1, 1]])),
            ),
            "SP675",
            "128, shifted by 0",
        ),
    ],
)
def test_what_has_no_place_is_refused_with_the_way(graph, code, said):
    findings = [finding for finding in Xylo().check(graph) if finding.severity == "error"]
    assert findings[0].code == code
    assert said in findings[0].what
    assert findings[0].mend


def test_what_only_the_simulator_does_is_said():
    late = network(out=neurons(2, 1, bias=np.asarray(64)))
    assert codes(late, "substituted") == ["SP676"]
    host = network(
        head=Linear(np.ones((2, 2), int)), sum=Readout((2,), np.ones(T, int)), edges=[("out", "head"), ("head", "sum")]
    )
    assert codes(host) == ["SP674"]  # they fire once, and are not the last
    assert codes(network(fc=Linear(np.full((4, 3), 127), exponent=7)), "note") == ["SP677"]


@pytest.mark.parametrize("other", [Lava, NengoLoihi])
def test_other_chips_refuse_its_neurons(other):
    """On a profile that says nothing else of Xylo's, too."""
    free = replace(LOIHI2, neuron="xylo", most_spikes=31)
    for arithmetic in (Loihi(XYLO), Loihi(free)):
        assert "SP616" in [finding.code for finding in other().check(network(arithmetic))]


def test_files_keep_every_number_and_a_portable_one_has_only_operators_that_most_tools_know(tmp_path):
    for path, formats in ((tmp_path / "a.onnx", onnx), (tmp_path / "a.nir", nir)):
        formats.write(network(), path)
        assert formats.read(path) == (network(), ())
    onnx.write(network(), tmp_path / "b.onnx", portable=True)
    assert {node.op_type for node in peer.load(tmp_path / "b.onnx").graph.node} <= KNOWN
    with pytest.raises(SpikeportError, match="SP251"):  # what its functions compute is no real numbers'
        onnx.read(renamed(tmp_path / "a.onnx"))


def renamed(path):
    """The model without our metadata: its operators are what counts."""
    model = peer.load(path)
    del model.metadata_props[:]
    peer.save(model, path)
    return path
