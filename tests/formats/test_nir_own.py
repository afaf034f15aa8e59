"""NIR files of our own: back to the bit, readable by nir, and refused once somebody changed them."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import h5py
import nir as peer
import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Conv, CubaLIF, Flatten, Graph, Input, Linear, Pool, Readout

f4 = np.float32
T = 4


def chain(extra_edges=(), **nodes):
    return Graph(nodes, (*pairwise(nodes), *extra_edges), timesteps=T)


@pytest.fixture
def graph():
    """Residual, grouped, not square, with odd names, varying and constant thresholds."""
    rng = np.random.default_rng(7)
    nodes = {
        "in/put": Input((2, 8, 8)),
        "c/1": Conv(rng.normal(size=(4, 2, 3, 3)).astype(f4), rng.normal(size=4).astype(f4), padding=(1, 1)),
        "lif.ä": LIF((4, 8, 8), decay=f4(0.5), threshold=rng.uniform(0.5, 1, T).astype(f4)),
        "": Conv(rng.normal(size=(4, 1, 3, 5)).astype(f4), None, padding=(1, 2), groups=4),
        "lif2": LIF((4, 8, 8), decay=f4(0.5), threshold=np.full(T, 0.75, f4)),
        "pool": Pool("average", (2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(rng.normal(size=(10, 64)).astype(f4)),
        "cuba": CubaLIF((10,), decay=rng.uniform(size=10).astype(f4), threshold=np.ones(T, f4), reset="subtract"),
        "out": Readout((10,), np.full(T, 1 / T, f4)),
    }
    return chain([("lif.ä", "lif2")], **nodes)


def code(build):
    with pytest.raises(SpikeportError) as caught:
        build()
    return caught.value.code


def test_a_graph_comes_back_to_the_bit_and_in_order(graph, tmp_path):
    path = tmp_path / "model.nir"
    nir.write(graph, path)
    again, findings = nir.read(path)
    assert again == graph
    assert list(again.nodes) == list(graph.nodes)
    assert again.edges == graph.edges
    assert findings == ()
    assert [file.name for file in tmp_path.iterdir()] == ["model.nir"]


def test_other_tools_read_the_file_and_may_write_it_again(graph, tmp_path):
    nir.write(graph, tmp_path / "a.nir")
    peer.write(tmp_path / "b.nir", peer.read(tmp_path / "a.nir"))
    assert nir.read(tmp_path / "b.nir")[0] == graph


def test_varying_thresholds_are_guarded_and_constant_ones_are_plain(graph, tmp_path):
    nir.write(graph, tmp_path / "a.nir")
    nodes = peer.read(tmp_path / "a.nir").nodes
    assert np.isposinf(nodes["lif__"].v_threshold).all()
    assert np.isposinf(nodes["cuba"].v_threshold).all()  # NIR has no soft reset
    (threshold,) = np.unique(nodes["lif2"].v_threshold)
    assert threshold < f4(0.75) == np.nextafter(threshold, f4(np.inf))  # v > this is v >= 0.75


def test_approx_writes_the_mean(graph, tmp_path):
    (finding,) = nir.write(graph, tmp_path / "a.nir", thresholds="approx")
    assert (finding.code, finding.severity, finding.where) == ("SP209", "substituted", "'lif.ä'")
    (threshold,) = np.unique(peer.read(tmp_path / "a.nir").nodes["lif__"].v_threshold)
    assert threshold == pytest.approx(graph["lif.ä"].threshold.mean(), rel=1e-6)
    assert nir.read(tmp_path / "a.nir")[0] == graph
    with h5py.File(tmp_path / "a.nir") as file:  # the file is marked
        assert json.loads(file["node/metadata/spikeport/facts"][()])["thresholds"] == "approx"


def test_a_stripped_file_is_refused_and_the_layers_named(graph, tmp_path):
    nir.write(graph, tmp_path / "a.nir")
    stripped = peer.read(tmp_path / "a.nir")
    stripped.metadata = {}
    for node in stripped.nodes.values():
        node.metadata = {}
    peer.write(tmp_path / "b.nir", stripped)
    with pytest.raises(SpikeportError, match="'lif__'") as caught:
        nir.read(tmp_path / "b.nir")
    assert caught.value.code == "SP203"


def test_a_node_that_lost_its_metadata_is_named(graph, tmp_path):
    nir.write(graph, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        del file["node/nodes/lif__/metadata"]
    with pytest.raises(SpikeportError, match=r"'lif\.ä'") as caught:
        nir.read(tmp_path / "a.nir")
    assert caught.value.code == "SP203"


@pytest.mark.parametrize(
    "place",
    [
        "nodes/c_1/weight",
        "nodes/lif__/metadata/spikeport/threshold",
        "nodes/cuba/v_leak",
        "nodes/n_/weight",
        "nodes/pool/padding",
        "nodes/cuba/v_threshold",
    ],
)
def test_any_changed_number_is_found(graph, tmp_path, place):
    names = {"n_": "_"}
    place = "/".join(names.get(part, part) for part in place.split("/"))
    nir.write(graph, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        value = file["node/" + place][()]
        value.flat[-1] = 2
        del file["node/" + place]
        file["node/" + place] = value
    assert code(lambda: nir.read(tmp_path / "a.nir")) == "SP204"


@pytest.mark.parametrize(("key", "value"), [("version", 2), ("requires", ["schedule", "telepathy"])])
def test_what_this_version_does_not_know_is_refused(graph, tmp_path, key, value):
    nir.write(graph, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        place = "node/metadata/spikeport/facts"
        facts = json.loads(file[place][()]) | {key: value}
        del file[place]
        file[place] = json.dumps(facts)
    assert code(lambda: nir.read(tmp_path / "a.nir")) == "SP205"


def test_files_that_are_no_nir_get_one_error(graph, tmp_path):
    path = tmp_path / "x.nir"
    assert code(lambda: nir.read(path)) == "SP201"
    assert code(lambda: nir.read(tmp_path)) == "SP201"
    path.write_bytes(b"")
    assert code(lambda: nir.read(path)) == "SP201"
    path.write_bytes(b"PK\3\4 something else")
    assert code(lambda: nir.read(path)) == "SP201"
    nir.write(graph, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert code(lambda: nir.read(path)) == "SP202"
    with h5py.File(path, "w") as file:
        file["other"] = 1
    assert code(lambda: nir.read(path)) == "SP202"


def test_a_folder_that_is_not_there_leaves_nothing(graph, tmp_path):
    assert code(lambda: nir.write(graph, tmp_path / "no" / "a.nir")) == "SP201"
    assert list(tmp_path.iterdir()) == []


def test_gigabytes_claimed_by_a_small_file_are_not_read(graph, tmp_path):
    nir.write(graph, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        del file["node/nodes/c_1/weight"]
        file["node/nodes/c_1"].create_dataset("weight", (2**20, 2**12), "f4", chunks=(2**10, 2**10), compression=1)
        file["node/nodes/c_1/weight"][0, 0] = 1
    assert code(lambda: nir.read(tmp_path / "a.nir")) == "SP207"


def test_approx_says_what_it_costs_on_a_calibration_batch(tmp_path):
    """One neuron, thresholds 1 and 3: the mean of 2 loses the spike at the first step of an input of 1.5."""
    nodes = {
        "in": Input((1,)),
        "fc": Linear(np.ones((1, 1), f4)),
        "lif": LIF((1,), f4(0), np.asarray([1, 3, 1, 3], f4)),
    }
    graph = chain(**nodes)
    (finding,) = nir.write(graph, tmp_path / "a.nir", "approx", calibration=np.full((5, 1), 1.5, f4), run=simulate)
    assert "on 5 samples" in finding.what
    assert "-100.0% spikes" in finding.what  # two spikes a sample, then none


def test_the_page_of_the_schema_names_every_field_that_is_written(graph, tmp_path):
    """docs/formats/nir.md is what another tool would implement from."""
    page = (Path(__file__).parents[2] / "docs" / "formats" / "nir.md").read_text()
    nir.write(graph, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir") as file:
        meta = file["node/metadata/spikeport"]
        assert set(meta) == {"facts", "digest"}
        facts = json.loads(meta["facts"][()])
        assert {f"`facts.{key}`" for key in facts} <= set(page.split())
        for node in file["node/nodes"].values():
            own = node["metadata/spikeport"]
            named = {*json.loads(own["facts"][()]), *own} - {"facts"}
            assert {name for name in named if not re.search(rf"\b{name}\b", page)} == set()


def test_what_is_equal_for_all_neurons_is_stored_once(tmp_path):
    """A million neurons in less than their weights; nir.read still sees an array a neuron."""
    conv = Conv(np.ones((64, 3, 3, 3), f4), np.zeros(64, f4), padding=(1, 1))
    big = chain(**{"in": Input((3, 128, 128)), "conv": conv, "lif": LIF((64, 128, 128), f4(0.5), np.full(T, 0.75, f4))})
    nir.write(big, tmp_path / "a.nir")
    assert (tmp_path / "a.nir").stat().st_size < 64 * 1024
    nodes = peer.read(tmp_path / "a.nir").nodes
    for name in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
        assert getattr(nodes["lif"], name).shape == (64, 128, 128)
    assert nir.read(tmp_path / "a.nir")[0] == big
