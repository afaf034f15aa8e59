"""NIR written by hand: every node type against NIR's own equations, stepped by Euler's rule in float64."""

from __future__ import annotations

import nir as peer
import numpy as np
import pytest

import nir_by_hand
from nir_by_hand import cuba, ends, graph, lif, normal
from spikeport.engine import simulate
from spikeport.formats import nir
from spikeport.formats.nir.subgraphs import FIELDS
from spikeport.formats.nir.to_graph import RULES
from spikeport.graph import Delay
from spikeport.target import Request

DT = 1e-3
T = 12


def both(network, tmp_path, frames, spiking=(), order=None, **options):
    """Run the file in spikeport and the network by hand; their spikes and outputs must agree."""
    peer.write(tmp_path / "a.nir", network)
    ours, findings = nir.read(tmp_path / "a.nir", DT, timesteps=len(frames), **options)
    ours = ours.with_(arithmetic=type(ours.arithmetic)("float64"))
    record = simulate(ours, frames, Request(trains=True))
    by_hand = nir_by_hand.run(network, frames, DT, order)
    for name in spiking:
        train = record.trains[name].unpack()
        assert 0 < train.mean() < 1, f"{name} tells nothing"
        np.testing.assert_array_equal(train, by_hand[name].astype(bool))
    (output,) = network.outputs
    np.testing.assert_allclose(record.outputs, by_hand[output].sum(0), rtol=1e-9, atol=1e-9)
    return ours, findings


EQUAL = {"tau": 5e-3, "r": 2.0, "v_leak": 0.0, "v_threshold": 0.4, "v_reset": 0.0}
NODES = {
    "lif": (lif(5), True),
    "lif, one value for all": (lif(5, **{k: np.full(5, v) for k, v in EQUAL.items()}), True),
    "cubalif": (cuba(5), True),
    "if": (peer.IF(np.full(5, 300.0), np.linspace(0.3, 0.8, 5), np.full(5, -0.1)), True),
    "threshold": (peer.Threshold(np.linspace(-0.5, 0.5, 5)), True),
    "scale": (peer.Scale(normal(5)), False),
    "delay": (peer.Delay(np.full(5, 3 * DT)), False),
    "delays": (peer.Delay(np.array([0, 1, 2, 1, 30]) * DT), False),
    "i": (peer.I(np.linspace(100, 900, 5)), False),
    "li": (peer.LI(np.linspace(2e-3, 9e-3, 5), np.linspace(1, 2, 5), np.linspace(-0.1, 0.1, 5)), False),
    "cubali": (peer.CubaLI(*(np.full(5, v) for v in (3e-3, 4e-3, 2.0, 0.1, 1.5))), False),
    "affine": (peer.Affine(normal(5, 5), normal(5)), False),
    "linear": (peer.Linear(normal(5, 5)), False),
}


@pytest.mark.parametrize("name", NODES)
def test_each_node_computes_its_equation(name, tmp_path):
    node, spikes = NODES[name]
    start, end = ends([5])
    both(graph(input=start, node=node, output=end), tmp_path, normal(T, 4, 5), ["node"] if spikes else [])


MAPS = {
    "conv": (peer.Conv2d((6, 7), normal(4, 2, 3, 3), (2, 1), (1, 0), (1, 2), 1, normal(4)), (4, 3, 3)),
    "not square": (peer.Conv2d((6, 7), normal(4, 2, 1, 4), 1, 0, 1, 1, normal(4)), (4, 6, 4)),
    "depthwise": (peer.Conv2d((6, 7), normal(4, 1, 3, 3), 1, 1, 1, 2, normal(4)), (4, 6, 7)),
    "same, even kernel": (peer.Conv2d((6, 7), normal(3, 2, 2, 4), 1, "same", 1, 1, normal(3)), (3, 6, 7)),
    "valid": (peer.Conv2d((6, 7), normal(3, 2, 2, 2), 1, "valid", 1, 1, normal(3)), (3, 5, 6)),
    "sum pool": (peer.SumPool2d(np.array([2, 3]), np.array([2, 2]), np.array([1, 0])), (2, 4, 3)),
    "average pool": (peer.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), (2, 3, 3)),
    "flatten": (peer.Flatten({"input": np.array([2, 6, 7])}, 0, -1), (84,)),
}


@pytest.mark.parametrize("name", MAPS)
def test_each_map_computes_what_torch_does(name, tmp_path):
    """Non-square and grouped kernels too, which nir.read refuses because of its own shape check."""
    node, shape = MAPS[name]
    start, end = ends([2, 6, 7], shape)
    if name in ("not square", "depthwise"):
        peer.write(tmp_path / "a.nir", graph(input=start, node=node, output=end))
        with pytest.raises(ValueError, match="Type inference error"):
            peer.read(tmp_path / "a.nir")
    both(graph(input=start, node=node, output=end), tmp_path, normal(T, 3, 2, 6, 7))


def test_a_convolution_in_time_or_one_axis(tmp_path):
    start, end = ends([2, 9], [4, 4])
    conv = peer.Conv1d(9, normal(4, 1, 3), 2, 1, 2, 2, normal(4))
    both(graph(input=start, node=conv, output=end), tmp_path, normal(T, 3, 2, 9))


@pytest.mark.parametrize("neuron", [lif(5), cuba(5)], ids=["lif", "cubalif"])
@pytest.mark.parametrize("synapse", [peer.Linear(normal(5, 5)), peer.Affine(normal(5, 5), normal(5))], ids=["w", "w+b"])
def test_a_feedback_edge_acts_on_the_next_step(neuron, synapse, tmp_path):
    """The spikes arrive a step later; the bias of the synapse is there at once, as in snnTorch."""
    start, end = ends([5])
    edges = [("input", "neuron"), ("neuron", "back"), ("back", "neuron"), ("neuron", "output")]
    network = graph(edges, input=start, neuron=neuron, back=synapse, output=end)
    order = ["input", "back", "neuron", "output"]
    ours, findings = both(network, tmp_path, normal(T, 4, 5), ["neuron"], order)
    assert len(ours.nodes_of(Delay)) == 1
    assert "SP214" in {finding.code for finding in findings}


def test_nested_graphs_are_opened(tmp_path):
    """A recurrent subgraph, as snnTorch exports RLeaky and RSynaptic, within another subgraph."""
    start, end = ends([5])
    edges = [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")]
    inner = graph(edges, input=start, lif=lif(5), w=peer.Linear(normal(5, 5)), output=end)
    outer = graph([("a", "rnn"), ("rnn", "b")], a=peer.Input(np.array([5])), rnn=inner, b=peer.Output(np.array([5])))
    network = graph(
        [("in", "net"), ("net", "fc"), ("fc", "out")],
        **{"in": start},
        net=outer,
        fc=peer.Linear(normal(3, 5)),
        out=peer.Output(np.array([3])),
    )
    peer.write(tmp_path / "a.nir", network)
    ours, _ = nir.read(tmp_path / "a.nir", DT, timesteps=T)
    assert "net.rnn.lif" in ours.nodes
    frames = normal(T, 4, 5)
    record = simulate(ours, frames, Request(trains=True))
    flat = graph(
        [("in", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "out")],
        **{"in": start},
        lif=lif(5),
        w=inner.nodes["w"],
        out=end,
    )
    by_hand = nir_by_hand.run(flat, frames, DT)
    np.testing.assert_array_equal(record.trains["net.rnn.lif"].unpack(), by_hand["lif"].astype(bool))


def test_scalar_parameters_take_the_shape_of_what_enters(tmp_path):
    import h5py

    start, end = ends([2, 3])
    network = graph(input=start, node=lif(2, 3), output=end)
    peer.write(tmp_path / "a.nir", network)
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        group = file["node/nodes/node"]
        for name, value in {"tau": 5e-3, "r": 2.0, "v_leak": 0.0, "v_threshold": 0.4}.items():
            del group[name]
            group[name] = value
        del group["v_reset"]
    ours, findings = nir.read(tmp_path / "a.nir", DT, timesteps=T)
    assert ours["node"].shape == (2, 3)
    assert ours["node"].decay == pytest.approx(1 - DT / 5e-3)
    assert any("v_reset" in finding.what for finding in findings)


def test_no_node_type_of_nir_is_left_out():
    """Every class of nir 1.0.8 that a file may hold; a graph holds other graphs."""
    types = {name for name, kind in vars(peer.ir).items() if isinstance(kind, type) and issubclass(kind, peer.NIRNode)}
    assert types - {"NIRNode", "NIRGraph"} == set(FIELDS) == set(RULES)


def test_a_cycle_without_any_delay_gets_one_and_a_note(tmp_path):
    """Two linear maps that feed each other: in continuous time they settle, in steps an answer needs one."""
    start, end = ends([3])
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    network = graph(
        edges, input=start, a=peer.Linear(0.3 * normal(3, 3)), b=peer.Linear(0.3 * normal(3, 3, seed=1)), output=end
    )
    peer.write(tmp_path / "a.nir", network)
    ours, findings = nir.read(tmp_path / "a.nir", DT, timesteps=T)
    assert "SP214" in {finding.code for finding in findings}
    frames = normal(T, 2, 3)
    a, b = (network.nodes[name].weight for name in "ab")
    back, total = np.zeros((2, 3)), 0
    for x in frames:
        back = (x + back) @ a.T @ b.T
        total = total + back
    record = simulate(ours.with_(arithmetic=type(ours.arithmetic)("float64")), frames)
    np.testing.assert_allclose(record.outputs, total, rtol=1e-9)
