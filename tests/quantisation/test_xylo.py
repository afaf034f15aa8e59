"""Networks of Xylo's neurons become Xylo's integers: what moves no spike, what is refused, and the whole way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import DECAY_ONE, LIF, XYLO, CubaLIF, Graph, Input, Linear, Real, definition
from spikeport.quantisation import quantize
from spikeport.quantisation.prepared import prepare
from spikeport.quantisation.xylo import late_currents, nearest
from spikeport.tracing import capture
from spikeport.training.catalogue import method
from spikeport.training.networks import Task
from spikeport_models.networks.synaptic import synaptic
from spikeport_targets.xylo import Xylo

T = 6


def trained(seed=0, hidden=(12,)):
    """A small network of its neurons, not trained: hidden ones that feed back, and three classes."""
    torch.manual_seed(seed)
    module = synaptic(Task((5,), 3, T, method("fixed", threshold=0.2)), hidden=hidden, memory=1.0).eval()
    return capture(module, (5,))


def events(batch=40, high=15):
    return np.random.default_rng(1).integers(0, high + 1, (T, batch, 5)).astype(np.float32)


def test_a_current_that_decays_late_is_one_with_a_gain_in_another_unit():
    """Decays are halves and weights whole, so that nothing rounds: no spike and no answer moves."""
    rng = np.random.default_rng(0)
    numbers = {"decay": np.asarray(0.75), "current_decay": np.asarray(0.5), "reset": "subtract", "most_spikes": 31}
    node = CubaLIF((4,), threshold=np.full(T, 3.0), bias=np.asarray(0.5), gain=np.asarray(1.0), **numbers)
    nodes = {"input": Input((5,), "events"), "fc": Linear(rng.integers(-3, 4, (4, 5)).astype(float)), "n": node}
    graph = Graph.chain(nodes, T, arithmetic=Real("float64"))
    late = late_currents(graph)
    assert late["n"].gain == 0.5
    assert (late["n"].threshold == 1.5).all()
    ours, theirs = (definition.run(each, events(high=3)) for each in (graph, late))
    assert np.array_equal(ours.values["n"], theirs.values["n"])
    assert ours.values["n"].max() > 1


@pytest.mark.parametrize("changes", [{"kind": LIF}, {"reset": "zero"}])
def test_other_neurons_are_refused_before_anything_is_rounded(changes):
    usual = {"decay": np.asarray(0.5), "threshold": np.ones(T), "reset": "subtract"} | changes
    kind = usual.pop("kind", CubaLIF)
    usual |= {"current_decay": np.asarray(0.5)} if kind is CubaLIF else {}
    nodes = {"input": Input((5,), "events"), "fc": Linear(np.ones((2, 5))), "n": kind((2,), **usual)}
    with pytest.raises(SpikeportError, match="SP134") as caught:
        prepare(Graph.chain(nodes, T), XYLO)
    assert "vowels-xylo" in caught.value.findings[0].mend


def test_a_decay_becomes_the_nearest_shift_which_is_said():
    assert (nearest(np.asarray([0.1, 0.5, 0.7, 0.9, 0.99999])) / DECAY_ONE).tolist() == [
        0.5,
        0.5,
        0.75,
        0.875,
        4095 / 4096,
    ]
    graph = trained()
    moved = graph.replace({n: node.with_(decay=np.float32(0.9)) for n, node in graph.nodes_of(LIF).items()})
    made = quantize(moved, events(), XYLO, run=simulate, steps=())
    said = [finding for finding in made.findings if finding.code == "SP438"]
    assert len(said) == 2
    assert "0.9 becomes 0.875" in said[0].what


def test_what_is_no_count_of_events_is_refused():
    graph = trained()
    with pytest.raises(SpikeportError, match="SP439"):
        quantize(graph, events() - 3, XYLO, run=simulate)


def test_a_network_of_its_neurons_becomes_integers_that_the_chip_takes_and_that_answer_as_it_does():
    graph = trained()
    x = events()
    made = quantize(graph, x, XYLO, run=simulate)
    assert not [finding for finding in Xylo().check(made.graph) if finding.severity == "error"]
    hidden = made.graph["neuron1"]
    assert (hidden.compare, hidden.reset, hidden.most_spikes) == (">=", "subtract", 31)
    last = made.report["steps"][-1]
    assert last["spike_mismatch"] < 0.1
    assert last["argmax_agreement"] > 0.8


def test_several_hidden_layers_share_one_shift_whatever_their_weights():
    """By themselves the layers take exponents of 1 to 3: the chip has one for all weights among hidden neurons."""
    made = quantize(trained(hidden=(16, 12, 8)), events(), XYLO, run=simulate)
    assert not [finding for finding in Xylo().check(made.graph) if finding.severity == "error"]
    among = [name for name in made.graph.nodes_of(Linear) if "back" in name or name in ("synapse2", "synapse3")]
    assert len(among) == 5
    assert len({made.graph[name].exponent for name in among}) == 1
    assert all(np.abs(made.graph[name].weight).max() >= 64 for name in among if "back" not in name)
    assert made.report["steps"][-1]["spike_mismatch"] < 0.05


def test_weights_that_are_finer_than_the_shift_keep_fewer_bits_which_is_said():
    graph = trained(hidden=(12, 10))
    fine = graph.replace({"neuron2.back": graph["neuron2.back"].with_(weight=graph["neuron2.back"].weight / 16)})
    made = quantize(fine, events(), XYLO, run=simulate, steps=())
    (finding,) = [finding for finding in made.findings if finding.code == "SP429"]
    assert finding.where == "node 'neuron2.back'"
    assert "one shift" in finding.why
    assert np.abs(made.graph["neuron2.back"].weight).max() < 32
    assert not [finding for finding in Xylo().check(made.graph) if finding.severity == "error"]
