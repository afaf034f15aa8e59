"""SANA-FE, in a child process, charges what our model of it charges, and its neurons fire when ours do."""

from __future__ import annotations

import dataclasses
import tempfile

import numpy as np
import pytest

from conformance.cases import case
from sanafe_networks import B, T, conv, dense, identities, merged, residual, weights
from sanafe_replays import KINDS, pair
from spikeport.costs import estimate
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, Graph, Input, Loihi
from spikeport.mapping import Mapping, find, traffic
from spikeport.mapping.fit import fit
from spikeport.mapping.latency import depth
from spikeport.target import Request
from spikeport.verbs.energy import energy
from spikeport_targets.sanafe import SanaFe
from spikeport_targets.sanafe.child import execute
from spikeport_targets.sanafe.edges import of_synapse
from spikeport_targets.sanafe.replay import plan, replay

needs_sanafe = pytest.mark.skipif(not SanaFe().availability().ready, reason=SanaFe().availability().why)


def spikes_for(graph, share=0.3):
    shape = graph.shapes[graph.input]
    return (np.random.default_rng(5).random((T, B, *shape)) < share).astype(np.float32)


def small_chip():
    """Cores so small that layers spread over several tiles and messages take hops."""
    chip = find("loihi1")
    limits = dict(chip.limits) | {"neurons": chip.limits["neurons"].model_copy(update={"value": 3})}
    return chip.model_copy(update={"limits": limits})


@needs_sanafe
@pytest.mark.parametrize("build", [dense, conv, residual, identities, merged])
def test_our_model_charges_what_sana_fe_charges(build):
    """Thresholds change with every step; energies agree to 1e-9 of their size, counts exactly."""
    graph = build()
    x = spikes_for(graph)
    record = simulate(graph, x, Request(events=True, trains=True))
    mapping = Mapping(graph, fit(graph, small_chip()))
    sent = traffic(mapping, record, x)
    models, drain = ["loihi1-sanafe2025"], depth(mapping.fit)
    (ours,) = estimate(graph, record, models, traffic=sent, samples=x, drain=drain).values()
    theirs = replay(mapping, x, record)
    part = {name: energy.nominal * B for name, energy in ours.breakdown.items()}
    assert ours.nominal * B == pytest.approx(theirs.energy["total"], rel=1e-9)
    assert part["synaptic operations"] == pytest.approx(theirs.energy["synapse"], rel=1e-9)
    assert part["neuron updates"] + part["spikes"] == pytest.approx(theirs.energy["soma"], rel=1e-9)
    network = part["messages"] + part["hop east west"] + part["hop north south"]
    assert network == pytest.approx(theirs.energy["network"], rel=1e-9)
    assert part["hop east west"] > 0
    assert part["hop north south"] > 0
    assert round(ours.counts["synaptic operations"].nominal * B) == theirs.synaptic_events
    assert round(ours.counts["messages"].nominal * B) == theirs.packets
    fired = sum(int(counts.sum()) for counts in record.spike_counts.values())
    assert theirs.spikes == fired + int(x.sum())


@needs_sanafe
@pytest.mark.parametrize("build", [dense, conv])
def test_sana_fes_neurons_fire_when_ours_do(build):
    graph = build()
    x = spikes_for(graph)
    ours = simulate(graph, x, Request(trains=True, events=True))
    theirs = SanaFe().run(graph, x, Request(trains=True, events=True))
    for name, train in ours.trains.items():
        assert train.unpack().any(), f"{name} is silent: nothing is tested"
        np.testing.assert_array_equal(theirs.trains[name].unpack(), train.unpack())
    np.testing.assert_array_equal(theirs.outputs, ours.outputs)
    for name, counted in ours.events.items():
        for item in dataclasses.fields(counted):
            np.testing.assert_array_equal(getattr(theirs.events[name], item.name), getattr(counted, item.name))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda graph: residual(), "paths of"),
        (lambda graph: graph.replace({"b": graph["b"].with_(exponent=-1)}), "shifted to the right"),
        (
            lambda graph: Graph.chain(
                {"input": Input((1,)), "l": LIF((1,), decay=np.float32(1), threshold=np.ones(T, np.float32))}, T
            ),
            "real numbers",
        ),
    ],
)
def test_what_its_neurons_cannot_express_is_refused_before_anything_runs(change, says):
    findings = SanaFe().check(change(dense()))
    assert any(says in finding.what for finding in findings)
    assert {finding.code for finding in findings} == {"SP740"}


@needs_sanafe
def test_where_the_profile_saturates_and_its_membranes_do_not_check_says_so():
    """Sums of 30 inputs of up to 44 pass 2**9 - 1 within a step, and 2**23 - 1 in no four."""
    graph, narrow = dense(), Loihi(dataclasses.replace(LOIHI2, state_bits=10))
    assert [finding.code for finding in SanaFe().check(graph)] == []
    notes = SanaFe().check(graph.with_(arithmetic=narrow))
    assert {(finding.code, finding.severity) for finding in notes} == {("SP747", "note")}
    assert {finding.where for finding in notes} == {"node 'one'", "node 'two'"}


def test_graded_input_is_refused():
    graph = dense()
    with pytest.raises(SpikeportError, match="SP740"):
        SanaFe().run(graph, spikes_for(graph) * 2, Request())


@needs_sanafe
def test_a_time_limit_ends_the_child():
    graph = dense()
    with pytest.raises(SpikeportError, match="SP744"):
        SanaFe().run(graph, spikes_for(graph), Request(seconds=0.05))


def test_edges_spell_out_the_convolution():
    """Summing weight * input over the edges is the convolution itself."""
    from spikeport.graph.meaning import products

    node = Conv(weights(4, 3, 3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
    shape = (6, 7, 9)
    x = np.random.default_rng(0).normal(size=shape)
    source, target, weight = of_synapse(node, shape)
    y = np.bincount(target, weights=weight * x.ravel()[source], minlength=int(np.prod(node.output_shape(shape))))
    np.testing.assert_allclose(y.reshape(node.output_shape(shape)), products(node, x[None, None])[0, 0], atol=1e-9)


@needs_sanafe
def test_the_verb_shows_sana_fes_own_account():
    graph = dense()
    account = energy(graph, samples=spikes_for(graph), sanafe=2).sanafe
    assert account.samples == 2
    assert abs(account.relative_difference) < 1e-9


@needs_sanafe
def test_an_exception_inside_is_brought_back_and_nothing_stays_behind(tmp_path, monkeypatch):
    """An edge to a neuron that there is not."""
    graph = dense()
    x = spikes_for(graph)
    replayed = plan(Mapping(graph, fit(graph, "loihi1")), x, simulate(graph, x, Request(trains=True)))
    broken = dataclasses.replace(replayed.edges[0], pairs=replayed.edges[0].pairs + 10_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SpikeportError, match=r"SP74[35]"):
        execute(dataclasses.replace(replayed, edges=(broken, *replayed.edges[1:])))
    assert list(tmp_path.iterdir()) == []


@needs_sanafe
def test_a_memory_limit_ends_the_child():
    graph = dense()
    x = spikes_for(graph)
    replayed = plan(Mapping(graph, fit(graph, "loihi1")), x, simulate(graph, x, Request(trains=True)))
    with pytest.raises(SpikeportError, match="SP744"):
        execute(replayed, memory=2**20)


def test_an_absent_sanafe_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr("spikeport_targets.sanafe.child.installed", lambda: None)
    assert not SanaFe().availability().ready
    with pytest.raises(SpikeportError, match=r"SP746[\s\S]*pip install sanafe"):
        SanaFe().run(dense(), spikes_for(dense()), Request())


@needs_sanafe
@pytest.mark.parametrize("seed", [5001, 5005, 5006, 5012, 5018])
def test_random_networks_are_charged_alike(seed):
    """With pools, loops, delays and residuals, on cores of three neurons; `tests/sanafe_replays.py` tries hundreds."""
    network = case(KINDS[seed % len(KINDS)], seed)
    assert not pair(network.graph, network.samples, 3).differences
