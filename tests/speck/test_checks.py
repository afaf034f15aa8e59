"""What Speck cannot do is refused by name, with the way; what only its simulator can do is said."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from quantize_examples import convolutional, images
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, SPECK, Conv, Delay, Flatten, Graph, Input, Linear, Loihi, Pool, Readout
from spikeport.quantisation import quantize
from spikeport_targets.speck import Speck
from spikeport_targets.speck.orders import orders
from spikeport_targets.speck.reorder import _matrix, _sample, asynchronous, reorder

T = 4
OTHER = Loihi(replace(SPECK, name="other", schedule=True, channel_thresholds=True, leak=True, fraction_bits=0))


def neurons(shape, threshold=30, **numbers):
    usual = {"decay": np.asarray(4096), "bias": np.asarray(0), "gain": np.asarray(1), "compare": ">"}
    return LIF(shape, threshold=np.full(T, threshold) if np.ndim(threshold) == 0 else threshold, **usual | numbers)


def network(arithmetic=Loihi(SPECK), **changes):
    """Events through a convolution, a pool and a dense layer, which ends in neurons: all of it on the chip."""
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((2, 6, 6), "events", low=0, high=1),
        "conv": Conv(rng.integers(-30, 60, (3, 2, 3, 3)), padding=(1, 1)),
        "one": neurons((3, 6, 6)),
        "pool": Pool("sum", (2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(rng.integers(-30, 60, (5, 27))),
        "two": neurons((5,)),
    }
    return Graph.chain(nodes | changes, T, arithmetic=arithmetic)


def codes(graph):
    return [finding.code for finding in Speck().check(graph)]


def test_what_the_chip_computes_has_one_note_that_it_is_asynchronous():
    assert codes(network()) == ["SP513", "SP658"]  # four events of a pool come one by one
    assert all(finding.severity != "error" for finding in Speck().check(network()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decay": np.asarray(4000)}, "leak"),
        ({"threshold": np.arange(30, 30 + T)}, "over time"),
        ({"threshold": np.full((T, 3), [3, 4, 5])}, "over channels"),
        ({"reset": "none"}, "reset is 'none'"),
        ({"threshold": 32767}, "32767 or more"),
        ({"bias": np.asarray(32)}, "8 bits"),
    ],
)
def test_neurons_that_are_others_are_refused_with_the_way(changes, said):
    free = Loihi(replace(OTHER.profile, bias_bits=13, bias_exponent=(0, 7)))
    (finding,) = Speck().check(network(free, one=neurons((3, 6, 6), **changes)))
    assert (finding.code, finding.where) == ("SP655", "node 'one'")
    assert said in finding.what
    assert "--profile speck" in finding.mend


def test_what_has_no_place_or_another_width_is_refused():
    trained = Speck().check(convolutional())
    assert {finding.code for finding in trained} == {"SP653", "SP655"}
    assert {"leak" in f.what or "vary over time" in f.what for f in trained[1:]} == {True}
    late = network(head=Linear(np.ones((2, 5), int)), later=Delay((2,), 1), out=Readout((2,), np.ones(T, int)))
    assert codes(late) == ["SP654"]
    chip = network()
    twice = chip.with_(nodes={**chip.nodes, "fc2": chip["fc"]}, edges=(*chip.edges, ("flat", "fc2"), ("fc2", "two")))
    assert codes(twice) == ["SP654"]
    assert codes(network(Loihi(LOIHI2))) == ["SP656"]


def test_what_only_the_simulator_computes_is_said():
    graph = network(
        input=Input((2, 6, 6), low=0, high=9),
        one=neurons((3, 6, 6), reset="subtract"),
        conv=Conv(np.ones((3, 2, 3, 1), int), padding=(1, 0)),
        head=Linear(np.ones((2, 5), int)),
        out=Readout((2,), np.ones(T, int)),
    )
    said = [finding.where for finding in Speck().check(graph) if finding.code == "SP657"]
    assert said == [f"node {name!r}" for name in ("input", "one", "out", "conv")]


def test_an_integrate_and_fire_network_is_quantised_for_it_and_a_leaking_one_is_told_the_recipe():
    with pytest.raises(SpikeportError, match="SP118") as caught:
        quantize(convolutional(), images(), SPECK, run=simulate, collapse_thresholds="best")
    assert any("digits-if" in finding.mend for finding in caught.value.findings if finding.code == "SP118")
    kept = convolutional()
    kept = kept.replace({name: node.with_(decay=np.float32(1)) for name, node in kept.nodes_of(LIF).items()})
    integers = quantize(kept, images(), SPECK, run=simulate, collapse_thresholds="best").graph
    assert not [finding for finding in Speck().check(integers) if finding.severity == "error"]


def one_neuron(weights, reset="zero"):
    nodes = {
        "input": Input((len(weights),), "events", low=0, high=1),
        "fc": Linear(np.array([weights])),
        "n": neurons((1,), 3),
    }
    nodes["n"] = nodes["n"].with_(reset=reset)
    return Graph.chain(nodes, T, arithmetic=Loihi(SPECK))


def test_order_decides_where_weights_of_both_signs_meet_and_nowhere_else():
    """5 and -5: with the positive event first the neuron fires at 5 > 3; added first they are 0, and it never does."""
    both = np.ones((T, 1, 2), int)
    moved = reorder(one_neuron([5, -5]), both, seeds=range(8))
    assert moved.spikes == T
    assert 0 < sum(moved.differ) < 8 * T
    assert 0 < moved.worst <= 1
    assert moved.decided == 0
    assert moved.most >= T  # one a step at least, since either may come first
    assert reorder(one_neuron([1, 2], "subtract"), both, seeds=range(3)).differ == (0, 0, 0)
    alone = np.eye(2, dtype=int)[np.arange(T) % 2][:, None]
    steady = reorder(one_neuron([5, -5]), alone, seeds=range(3))
    assert (steady.differ, steady.decided, steady.most) == ((0, 0, 0), T, 0)


def test_a_run_says_what_the_order_changes_on_its_first_samples():
    """With 5 before -5 the neuron fires where the sum of both does not."""
    said = asynchronous(one_neuron([5, -5]), np.ones((T, 6, 2), int))
    assert re.search(r"in 3 seeded orders .* up to \d+\.\d% of the spikes of 4 samples differ", said.what)
    assert "Proved for every order: 0.0% of them are the same" in said.why
    calm = asynchronous(one_neuron([1, 1]), np.ones((T, 6, 2), int))
    assert "up to 0.0% of the spikes" in calm.what


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_no_order_leaves_what_was_proved_of_all_orders(reset):
    """Every count of seeded orders lies in its interval, and some intervals are as narrow as one count."""
    rng, moved, narrow = np.random.default_rng(3), 0, 0
    for seed in range(6):
        weights = {name: network()[name].weight // int(rng.integers(1, 6)) for name in ("conv", "fc")}
        layers = {"one": neurons((3, 6, 6), 50, reset=reset, bias=np.array([0, 64, -128])), "two": neurons((5,), 60)}
        graph = network(conv=Conv(weights["conv"], padding=(1, 1)), fc=Linear(weights["fc"]), **layers)
        x = (rng.random((2, T, 2, 6, 6)) < 0.05).astype(int)
        bounds = orders(graph, x)
        matrices = {name: _matrix(graph, name, graph[name]) for name in ("conv", "fc")}
        for number, sample in enumerate(x):
            counts, _ = _sample(graph, sample, matrices, np.random.default_rng(seed))
            for name, train in counts.items():
                low, high = bounds[name].low[:, number], bounds[name].high[:, number]
                assert (low <= train).all()
                assert (train <= high).all()
                moved += int((low < high).sum())
                narrow += int((low == high).sum())
    assert moved > 0
    assert narrow > 0
