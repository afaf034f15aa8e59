"""The Graph refuses what cannot be, names every problem, and equals itself to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Delay, Graph, Input, Linear, Loihi, Readout, Scale


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
