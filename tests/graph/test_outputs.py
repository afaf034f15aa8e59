"""Several named outputs: what a graph of them is, what a run of it brings back, and who reads one only."""

from __future__ import annotations

import nir as peer
import numpy as np
import pytest

from spikeport.comparison.parity import parity
from spikeport.engine import simulate
from spikeport.engine.endless import Stream
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout, Real, Scale
from spikeport.record import Record
from spikeport.target import Request, registry, target
from spikeport.training.integers import IntegerNet

F4 = np.float32
FRAMES = np.asarray([[[1, 0]], [[1, 2]], [[0, 3]]], F4)  # [T, B, 2]
OUTPUTS = ("head", "early", "late")


def forked(outputs=OUTPUTS, integers=False):
    """Both neurons fire from 1 on and keep nothing; the head weighs steps by 1, 2 and 4, two others count spikes."""
    kind, decay = (np.int64, np.int64(1)) if integers else (F4, F4(0))
    threshold = np.asarray([0, 0, 0] if integers else [1, 1, 1], kind)
    nodes = {
        "input": Input((2,), "events", low=0, high=9) if integers else Input((2,), "events"),
        "fc": Linear(np.eye(2, dtype=kind)),
        "lif": LIF((2,), decay, threshold, compare=">" if integers else ">="),
        "early": Scale(kind(1)),
        "fc2": Linear(np.asarray([[1, 1]], kind)),
        "head": Readout((1,), np.asarray([1, 2, 4], kind), np.asarray(0, kind)),
        "late": LIF((1,), decay, threshold + kind(1), compare=">" if integers else ">="),
    }
    edges = (("input", "fc"), ("fc", "lif"), ("lif", "early"), ("lif", "fc2"), ("fc2", "head"), ("fc2", "late"))
    return Graph(nodes, edges, 3, Loihi(LOIHI2) if integers else Real(), named_outputs=outputs)


@pytest.mark.parametrize("outputs", [(), ("head",), ("head", "early"), ("head", "early", "lif"), (*OUTPUTS, "late")])
def test_a_graph_of_several_outputs_names_each_node_that_leads_nowhere_once(outputs):
    with pytest.raises(SpikeportError) as caught:
        forked(outputs)
    assert caught.value.code == "SP112"


def test_each_output_is_what_its_node_says():
    """Spikes are 10, 11, 01: the head is 1 + 2 * 2 + 4, each neuron fires twice, both at once in the second step."""
    record = simulate(forked(), FRAMES)
    assert record.outputs.tolist() == [[9]]
    assert {name: value.tolist() for name, value in record.further.items()} == {"early": [[2, 2]], "late": [[1]]}
    other = simulate(forked(("late", "head", "early")), FRAMES)
    assert (other.outputs.tolist(), list(other.further)) == ([[1]], ["head", "early"])
    assert forked() != forked(("late", "head", "early"))
    assert parity(record, record).max_abs_output_difference == 0


def test_further_outputs_stay_with_their_samples(tmp_path):
    samples = np.concatenate([FRAMES, 0 * FRAMES, FRAMES], 1)
    whole = simulate(forked(), samples, Request(batch=2))
    assert whole.further["early"].tolist() == [[2, 2], [0, 0], [2, 2]]
    assert whole.first(2).further["early"].tolist() == [[2, 2], [0, 0]]
    whole.save(tmp_path / "record.npz")
    again = Record.load(tmp_path / "record.npz")
    assert {name: value.tolist() for name, value in again.further.items()} == {
        name: value.tolist() for name, value in whole.further.items()
    }
    late = {**whole.further, "late": whole.further["late"] + 3}
    assert parity(whole, Record(**{**vars(whole), "further": late})).max_abs_output_difference == 3


def test_an_output_that_is_taken_out_leaves_its_source():
    chain = forked().insert("one", Scale(F4(1)), ("fc2", "late")).bypass("late")
    assert chain.outputs == ("head", "early", "one")


def test_without_metadata_onnx_keeps_outputs_and_forgets_recorded_spikes(tmp_path):
    model = onnx.build(forked())
    del model.metadata_props[:]
    (tmp_path / "bare.onnx").write_bytes(model.SerializeToString())
    graph, _ = onnx.read(tmp_path / "bare.onnx")
    record = simulate(graph, FRAMES)
    assert record.outputs.tolist() == [[9]]
    assert [value.tolist() for value in record.further.values()] == [[[2, 2]], [[1]]]


def test_a_foreign_nir_file_keeps_its_outputs_and_says_which_decides(tmp_path):
    lif = peer.IF(np.ones(2), np.ones(2), np.zeros(2))
    ends = {"input": peer.Input(np.array([2])), "a": peer.Output(np.array([2])), "b": peer.Output(np.array([2]))}
    nodes = {"fc": peer.Linear(np.eye(2)), "lif": lif, "back": peer.Linear(np.eye(2)), "lif2": lif, **ends}
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "a"), ("lif", "back"), ("back", "lif2"), ("lif2", "b")]
    peer.write(tmp_path / "two.nir", peer.NIRGraph(nodes, edges, type_check=False))
    graph, findings = nir.read(tmp_path / "two.nir", dt=1.0)
    assert graph.outputs == ("a", "lif2")
    assert [finding.what for finding in findings if finding.code == "SP132"] == [
        "has the outputs 'a', 'b'; the first, 'a', decides a sample"
    ]


@pytest.mark.parametrize("name", ["lava", "nengo-loihi", "sanafe", "speck"])
def test_a_chip_that_reads_one_output_says_so(name):
    if name not in registry():
        pytest.skip("its entry point is not installed")
    assert "SP132" in [finding.code for finding in target(name).check(forked(integers=True))]


@pytest.mark.parametrize("of_one", [lambda: Stream(forked()), lambda: IntegerNet(forked(integers=True))])
def test_streams_and_fine_tuning_read_one_output(of_one):
    with pytest.raises(SpikeportError) as caught:
        of_one()
    assert caught.value.code == "SP132"
