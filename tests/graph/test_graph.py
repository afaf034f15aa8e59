"""The Graph refuses what cannot be, names every problem, and equals itself to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI1, LOIHI2, Delay, Flatten, Graph, Input, Linear, Loihi, Pool, Readout, Scale


def chain(**nodes):
    """A graph of nodes in a row, four steps."""
    return Graph.chain(nodes, timesteps=4)


def lif(n=3, thresholds=(1.0, 0.9, 0.8, 1.1)):
    return LIF((n,), decay=np.float32(0.5), threshold=np.asarray(thresholds, np.float32))


def small(**changes):
    nodes = {
        "input": Input((2,)),
        "fc": Linear(np.ones((3, 2), np.float32)),
        "lif": lif(),
        "out": Readout((3,), np.full(4, 0.25, np.float32)),
    }
    return chain(**(nodes | changes))


def code(build):
    with pytest.raises(SpikeportError) as caught:
        build()
    return caught.value.code


def test_a_graph_knows_its_order_shapes_and_ends():
    graph = small()
    assert graph.order == ("input", "fc", "lif", "out")
    assert dict(graph.shapes) == {"input": (2,), "fc": (3,), "lif": (3,), "out": (3,)}
    assert (graph.input, graph.output, graph.recurrent) == ("input", "out", False)


def test_graphs_are_equal_to_the_bit():
    weight = np.ones((3, 2), np.float32)
    other = weight.copy()
    other[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    assert small(fc=Linear(weight)) == small()
    assert small(fc=Linear(other)) != small()
    assert small(fc=Linear(weight.astype(np.float64))) != small()


def test_a_node_is_put_into_one_edge_and_no_other():
    graph = small().insert("twice", Scale(np.float32(2)), ("input", "fc"))
    assert graph.edges == (("input", "twice"), ("twice", "fc"), ("fc", "lif"), ("lif", "out"))
    assert code(lambda: graph.insert("lif", Scale(np.float32(2)), ("input", "twice"))) == "SP110"


def test_arrays_are_read_only_but_the_callers_stay_writable():
    weight = np.ones((3, 2), np.float32)
    graph = small(fc=Linear(weight))
    with pytest.raises(ValueError, match="read-only"):
        graph["fc"].weight[0, 0] = 2
    weight[0, 0] = 1


def test_every_edge_problem_is_named_at_once():
    with pytest.raises(SpikeportError) as caught:
        Graph({"input": Input((2,)), "fc": Linear(np.ones((3, 2)))}, (("input", "fcc"), ("fd", "fc")), 4)
    text = str(caught.value)
    assert "fcc" in text
    assert "'fd'" in text


def test_a_cycle_needs_a_delay():
    def loop(*feedback):
        nodes = {"input": Input((3,)), "lif": lif(), "out": Readout((3,), np.full(4, 0.25)), **dict(feedback)}
        name = feedback[0][0]
        return Graph(nodes, (("input", "lif"), ("lif", name), (name, "lif"), ("lif", "out")), 4)

    assert code(lambda: loop(("back", Linear(np.eye(3))))) == "SP111"
    assert loop(("back", Delay((3,)))).recurrent


def test_a_doubled_edge_is_refused():
    nodes = {"input": Input((2,)), "twice": Scale(np.float32(2))}
    assert code(lambda: Graph(nodes, (("input", "twice"), ("input", "twice")), 4)) == "SP110"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fc": Linear(np.ones((4, 2)))}, "SP106"),
        ({"lif": lif(thresholds=(1, 2, 3))}, "SP113"),
        ({"fc": Linear(np.full((3, 2), np.nan))}, "SP114"),
        ({"out": Readout((3,), np.ones(3))}, "SP113"),
    ],
)
def test_wrong_numbers_and_shapes_have_their_codes(changes, expected):
    assert code(lambda: small(**changes)) == expected


def test_loihi_integers_are_held_to_their_format():
    neuron = LIF((3,), np.int32(3000), np.full(4, 100, np.int32), compare=">")
    nodes = {"input": Input((2,)), "fc": Linear(np.full((3, 2), 127, np.int8)), "lif": neuron}
    edges = (("input", "fc"), ("fc", "lif"))
    Graph(nodes, edges, 4, Loihi(LOIHI2))
    for wrong in (
        {"fc": Linear(np.full((3, 2), 128, np.int16))},
        {"fc": Linear(np.full((3, 2), 0.5))},
        {"lif": neuron.with_(threshold=np.full(4, 2**17, np.int32))},
        {"lif": neuron.with_(decay=np.int32(4097))},
        {"lif": neuron.with_(compare=">=")},
    ):
        assert code(lambda wrong=wrong: Graph(nodes | wrong, edges, 4, Loihi(LOIHI2))) == "SP115"


def whole(steps, **more):
    return LIF((3,), np.int32(3000), np.full(steps, 100, np.int32), compare=">", **more)


def test_defects_of_five_kinds_are_all_named_at_once():
    """Nothing hides behind another: a cycle, a short schedule, a weight, an input and a profile, each with its code."""
    nodes = {
        "input": Input((2,), low=0, high=100_000),
        "fc": Linear(np.full((3, 2), 300, np.int16)),
        "lif": whole(4),
        "back": Linear(np.eye(3, dtype=np.int8)),
        "short": whole(3),
        "varies": whole(4).with_(threshold=np.asarray([9, 8, 7, 6])),
        "end": Linear(np.ones((5, 4), np.int8)),  # three neurons before it
    }
    edges = (
        ("input", "fc"),
        ("fc", "lif"),
        ("lif", "back"),
        ("back", "lif"),
        ("fc", "short"),
        ("short", "end"),
        ("lif", "varies"),
        ("varies", "end"),
    )
    with pytest.raises(SpikeportError) as caught:
        Graph(nodes, edges, 4, Loihi(LOIHI1))
    findings = sorted((finding.code, finding.where) for finding in caught.value.findings)
    assert findings == [
        ("SP111", ""),
        ("SP113", "node 'short'"),
        ("SP115", "node 'fc'"),
        ("SP116", "node 'varies'"),
        ("SP117", "node 'input'"),
    ]


def test_shapes_that_disagree_in_two_places_are_both_named():
    nodes = {
        "input": Input((2,)),
        "a": Linear(np.ones((3, 9))),
        "b": Linear(np.ones((3, 8))),
        "join": Scale(np.float32(1)),
    }
    with pytest.raises(SpikeportError) as caught:
        Graph(nodes, (("input", "a"), ("input", "b"), ("a", "join"), ("b", "join")), 1)
    assert [(finding.code, finding.where) for finding in caught.value.findings] == [
        ("SP106", "node 'a'"),
        ("SP106", "node 'b'"),
    ]


@pytest.mark.parametrize(
    ("profile", "low", "high", "fits"),
    [
        (LOIHI2, 0, 255, True),
        (LOIHI2, 0, 256, False),
        (LOIHI2, -128, 127, True),
        (LOIHI2, -1, 128, False),
        (LOIHI1, 0, 255, True),
        (LOIHI1, 0, 100_000, False),
        (replace(LOIHI2, message_bits=16), 0, 65_535, True),
    ],
)
def test_an_input_is_held_to_the_messages_that_carry_it(profile, low, high, fits):
    nodes = {
        "input": Input((1, 1, 2), low=low, high=high),
        "pool": Pool("sum", (1, 1), (1, 1)),
        "flat": Flatten(),
        "fc": Linear(np.ones((3, 2), np.int8)),
        "lif": whole(4),
    }

    def build():
        return Graph.chain(nodes, 4, arithmetic=Loihi(profile))

    assert build() if fits else code(build) == "SP117"


def test_an_input_that_enters_neurons_is_a_current_and_no_message():
    assert Graph.chain({"input": Input((3,), low=0, high=100_000), "lif": whole(4)}, 4, arithmetic=Loihi(LOIHI2))
