"""Neurons that fire several times in a step: by hand, in files, in records, in quantisation, in margins."""

from __future__ import annotations

from dataclasses import replace

import nir as nir_
import numpy as np
import pytest

from spikeport.costs.identities import identities
from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, LOIHI2, CubaLIF, Graph, Input, Linear, Profile, Readout
from spikeport.graph.neurons import EVERY_SPIKE
from spikeport.quantisation import quantize
from spikeport.record import Record, join
from spikeport.spike_train import Train
from spikeport.target import Request

Q = np.float32([0.5, 3.75, 0.0, 0.25, 2.5, 0.0, 1.0]).reshape(-1, 1, 1)
EVERYTHING = Request(trains=True, membranes=True, events=True)


def one(x=Q, threshold=1.0, **options):
    """One neuron that integrates what enters, by default subtracting what it fired."""
    options = {"reset": "subtract", "most_spikes": EVERY_SPIKE} | options
    node = LIF((1,), np.float32(1), np.full(len(x), threshold, np.float32), **options)
    return Graph.chain({"input": Input((1,), "events"), "lif": node}, timesteps=len(x))


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [0, 4, 0, 0, 3, 0, 1]),  # 4.25 holds 4 thresholds, 3.0 holds 3
        ({"most_spikes": 3}, [0, 3, 1, 0, 3, 0, 1]),  # what is not fired stays: 1.25, then 0.25
        ({"compare": ">"}, [0, 4, 0, 0, 2, 0, 1]),  # 3.0 passes two of its three; 1.0 is left, 2.0 passes one
        ({"reset": "zero"}, [0, 4, 0, 0, 2, 0, 1]),  # 4.25 is gone; 2.75, gone; 1.0
        ({"threshold": np.inf}, [0] * 7),
    ],
)
def test_a_neuron_fires_as_often_as_its_membrane_holds_thresholds(options, counts):
    record = simulate(one(**options), Q, EVERYTHING)
    assert record.trains["lif"].unpack().ravel().tolist() == counts
    assert record.spike_counts["lif"].tolist() == record.events["lif"].spikes.tolist() == counts
    assert record.outputs.item() == sum(counts)


def test_what_sinabs_wrote_is_read_so(tmp_path):
    """nir.py of sinabs writes an IF; n = floor(v / threshold), v -= n threshold."""
    ones = np.ones(1, np.float32)
    nir_.write(tmp_path / "a.nir", nir_.NIRGraph.from_list(nir_.Linear(np.eye(1, dtype="f4")), nir_.IF(ones, ones)))
    graph, findings = nir.read(tmp_path / "a.nir", timesteps=7, written_by="sinabs")
    (counts,) = simulate(graph, Q).spike_counts.values()
    assert counts.tolist() == [0, 4, 0, 0, 3, 0, 1]
    assert any("as many times in a step" in finding.what and "spikes=one" in finding.mend for finding in findings)


@pytest.mark.parametrize("kind", [LIF, CubaLIF])
def test_files_keep_it_to_the_bit_and_say_nothing_where_neurons_fire_once(tmp_path, kind):
    for most in (1, 31):
        node = kind((2,), np.float32(0.5), np.float32([1, 2]), reset="subtract", most_spikes=most)
        graph = Graph.chain({"input": Input((2,)), "lif": node}, timesteps=2)
        nir.write(graph, tmp_path / "a.nir")
        onnx.write(graph, tmp_path / "a.onnx")
        assert nir.read(tmp_path / "a.nir")[0] == graph
        assert onnx.read(tmp_path / "a.onnx")[0] == graph
        said = b"most_spikes" in (tmp_path / "a.nir").read_bytes()
        assert said == (most > 1), "0.1 reads files of neurons that fire once"


def test_a_threshold_of_nothing_counts_no_spikes():
    with pytest.raises(SpikeportError, match="SP102"):
        one(threshold=0.0)


def test_records_keep_numbers_of_spikes(tmp_path):
    """A bit a spike where that is enough, a byte or more where a neuron fired several times; 300 needs two."""
    records = [simulate(one(Q * scale), Q * scale, EVERYTHING) for scale in (0.2, 1, 70)]
    assert [record.trains["lif"].bits.dtype.itemsize for record in records] == [1, 1, 2]
    assert [record.trains["lif"].several for record in records] == [False, True, True]
    whole = join(records)
    counts = np.concatenate([record.trains["lif"].unpack() for record in records], axis=1)
    assert np.array_equal(whole.trains["lif"].unpack(), counts)
    whole.save(tmp_path / "record.npz")
    again = Record.load(tmp_path / "record.npz")
    assert np.array_equal(again.trains["lif"].unpack(), counts)
    assert again.first(2).spike_counts["lif"].tolist() == counts[:, :2].sum((1, 2)).tolist()
    assert not whole.trains["lif"].apart(again.trains["lif"]).any()
    once = Train.pack(counts > 0)
    assert once.apart(whole.trains["lif"]).sum() == (counts > 1).sum()
    assert once.beside(whole.trains["lif"]) == (0, (counts > 1).sum())
    assert once.beside(Train.pack(counts > 1)) == ((counts == 1).sum(), 0)


def test_a_value_of_three_is_one_event_of_a_synapse_and_three_spikes():
    """Events are counted at the synapse's input, by value; spikes, and what enters without a synapse, one by one."""
    lif = LIF((1,), np.float32(1), np.ones(1, np.float32), reset="subtract", most_spikes=15)
    weights = Linear(np.float32([[1], [0]]))
    graph = Graph.chain(
        {"input": Input((1,)), "lif": lif, "fc": weights, "out": Readout((2,), np.ones(1))}, timesteps=1
    )
    record = simulate(graph, np.float32([[3.5]]), EVERYTHING)
    events = {name: int(getattr(record.events["fc"], name)[0]) for name in ("inputs", "synops", "graded", "fanout")}
    assert events == {"inputs": 1, "synops": 1, "graded": 2, "fanout": 2}
    assert (int(record.events["fc"].payload[0]), int(record.events["fc"].unary[0])) == (3, 6)
    chain = {"input": Input((1,)), "lif": lif, "out": Readout((1,), np.ones(1))}
    direct = Graph.chain(chain, timesteps=1)
    x = np.float32([[3.5]])
    ways = identities(direct, simulate(direct, x, EVERYTHING), x)
    assert {way.source: way.operations.tolist() for way in ways} == {"input": [1], "lif": [3]}


def test_one_spike_too_many_is_a_defect_however_many_there_are():
    rng = np.random.default_rng(4)
    x = rng.normal(0, 3, (12, 4, 6)).astype(np.float32)
    node = LIF((6,), np.float32(0.9), rng.uniform(0.3, 1, 12).astype(np.float32), reset="subtract", most_spikes=31)
    weight = Linear(rng.normal(size=(6, 6)).astype(np.float32))
    graph = Graph.chain({"input": Input((6,), "events"), "fc": weight, "lif": node}, timesteps=12)
    record = simulate(graph, x, Request(trains=True))
    counts = record.trains["lif"].unpack()
    assert counts.max() > 5
    assert not margins(graph, x, record)["lif"].above_rounding(record.trains["lif"]).any()
    wrong = counts.copy()
    wrong[-1, 2, 3] += 1
    changed = replace(record, trains={"lif": Train.pack(wrong)})
    judged = margins(graph, x, changed)["lif"]
    assert judged.above_rounding(changed.trains["lif"]).tolist() == [0] * 11 + [1]


def test_a_profile_with_several_spikes_holds_the_network(tmp_path):
    """Quantised to 8 bits, most counts are the real network's, and where a neuron would fire oftener it is said."""
    rng = np.random.default_rng(2)
    x = rng.random((30, 10), dtype=np.float32)
    lif = LIF((20,), np.float32(0.8), np.full(6, 0.4, np.float32), reset="subtract", most_spikes=EVERY_SPIKE)
    nodes = {
        "input": Input((10,)),
        "fc": Linear(rng.normal(0, 0.5, (20, 10)).astype(np.float32)),
        "lif": lif,
        "last": Linear(rng.normal(0, 0.5, (3, 20)).astype(np.float32)),
        "out": Readout((3,), np.full(6, 1 / 6, np.float32)),
    }
    graph = Graph.chain(nodes, timesteps=6)
    with pytest.raises(SpikeportError, match="SP130"):
        quantize(graph, x, profile=LOIHI2, run=simulate)
    result = quantize(graph, x, profile=replace(LOIHI2, name="often", most_spikes=15), run=simulate)
    assert "SP434" in {finding.code for finding in result.findings}
    assert result.graph["lif"].most_spikes == 15
    real, whole = (simulate(each, x, Request(trains=True)).trains["lif"].unpack() for each in (graph, result.graph))
    assert real.max() > 3
    assert (real != whole).mean() < 0.05


def test_every_spike_is_as_far_as_float32_counts():
    assert np.float32(EVERY_SPIKE) - np.float32(EVERY_SPIKE - 1) == 1
    assert np.float32(EVERY_SPIKE + 1) == EVERY_SPIKE


def test_a_profile_of_0_1_fires_once_a_step():
    facts = {name: value for name, value in LOIHI2.facts().items() if name != "most_spikes"}
    assert Profile.from_facts(facts).most_spikes == 1
