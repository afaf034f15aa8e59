"""NIR files whose edges still name a subgraph that was opened, and options that a file leaves no room for."""

from __future__ import annotations

import h5py
import nir as peer
import numpy as np
import pytest

import spikeport
from nir_by_hand import cuba, ends, graph, normal, run
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Graph, Input
from spikeport.target import Request

T, DT = 20, 1e-3


def opened(path, *more):
    """A layer that feeds back into itself, its nodes beside the others, as NIR 0.2's exporters left them."""
    start, end = ends([3], [2])
    inner, outer = ends([4])
    nodes = {
        "input": start,
        "fc": peer.Affine(normal(4, 3), normal(4, seed=1)),
        "sub.input": inner,
        "sub.cuba": cuba(4),
        "sub.again": peer.Affine(normal(4, 4, seed=2), np.zeros(4)),
        "sub.output": outer,
        "fc2": peer.Linear(normal(2, 4, seed=3)),
        "output": end,
    }
    inside = [
        ("sub.input", "sub.cuba"),
        ("sub.cuba", "sub.again"),
        ("sub.again", "sub.cuba"),
        ("sub.cuba", "sub.output"),
    ]
    edges = [("input", "fc"), *inside, ("fc2", "output")]
    peer.write(path, graph([*edges, ("fc", "sub.input"), ("sub.output", "fc2")], **nodes))
    with h5py.File(path, "r+") as file:
        del file["node/edges"]
        table = np.array([*edges, ("fc", "sub"), ("sub", "fc2"), *more], dtype=object)
        file["node"].create_dataset("edges", data=table, dtype=h5py.string_dtype())
    flat = {name: node for name, node in nodes.items() if name not in ("sub.input", "sub.output")}
    joined = [("input", "fc"), ("fc", "sub.cuba"), *inside[1:3], ("sub.cuba", "fc2"), ("fc2", "output")]
    return graph(joined, **flat)


def test_edges_to_an_opened_subgraph_lead_to_its_ends(tmp_path):
    """The equations, stepped by hand on the network whose edges were mended by hand, give the same spikes."""
    network = opened(tmp_path / "a.nir")
    ours, findings = nir.read(tmp_path / "a.nir", DT, timesteps=T)
    assert [finding.code for finding in findings].count("SP224") == 1
    frames = normal(T, 3, 3, seed=5) * 2
    order = ["input", "fc", "sub.cuba", "sub.again", "fc2", "output"]
    fired = run(network, frames, DT, order)["sub.cuba"].astype(bool)
    train = simulate(ours, frames, Request(trains=True)).trains["sub.cuba"].unpack()
    assert 0 < train.mean() < 1
    np.testing.assert_array_equal(train, fired)


def test_an_opened_subgraph_that_feeds_itself_is_not_guessed(tmp_path):
    opened(tmp_path / "a.nir", ("sub", "sub"))
    with pytest.raises(SpikeportError, match="'sub' -> 'sub'") as caught:
        nir.read(tmp_path / "a.nir", DT)
    assert caught.value.code == "SP211"


def test_a_time_constant_below_zero_is_refused_with_its_own_decay(tmp_path):
    """tau = -0.05 s grows: 1 - dt / tau = 1.02; the layer's other decays, 0.9 and 0.5, are not to blame."""
    start, end = ends([3])
    node = peer.LIF(np.array([0.01, -0.05, 0.002]), np.ones(3), np.zeros(3), np.ones(3), np.zeros(3))
    peer.write(tmp_path / "a.nir", graph(input=start, node=node, output=end))
    with pytest.raises(SpikeportError, match=r"the decay is 1\.02 a step") as caught:
        nir.read(tmp_path / "a.nir", DT)
    assert caught.value.code == "SP213"


@pytest.mark.parametrize("options", [{"dt": 1e-3}, {"nir": {"written_by": "norse", "reset": "zero"}}])
@pytest.mark.parametrize("ending", [".nir", ".onnx"])
def test_options_for_files_of_others_say_that_they_change_nothing(tmp_path, options, ending):
    network = Graph({"in": Input((2,)), "lif": LIF((2,), np.float32(0.5), np.ones(3, "f4"))}, (("in", "lif"),), 3)
    spikeport.export(network, tmp_path / f"a{ending}")
    model = spikeport.load_model(tmp_path / f"a{ending}", **options)
    assert model.graph == network
    (finding,) = model.findings
    assert finding.code == "SP225"
    assert finding.what.startswith("dt changes" if "dt" in options else "written_by, reset change")
    assert spikeport.load_model(tmp_path / f"a{ending}").findings == ()
