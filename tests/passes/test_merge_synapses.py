"""Two synapses in a row as one: the same sums, and a note in quantisation."""

from __future__ import annotations

import numpy as np
import pytest

from exact_networks import REAL, T, chain, grid, lif
from spikeport.engine import simulate
from spikeport.graph import Conv, Flatten, Graph, Input, Linear, Real, Reshape, Scale, Synapse, definition
from spikeport.passes.merge_synapses import merge_synapses
from spikeport.quantisation import quantize
from spikeport.target import Request

RNG = np.random.default_rng(4)
MAP, VECTOR = (4, 6, 6), (5,)
PAIRS = {
    "matrices": (VECTOR, Linear(grid(RNG, 3, 5), grid(RNG, 3)), Linear(grid(RNG, 4, 3), grid(RNG, 4)), (4,)),
    "a convolution a channel, then one of one place": (
        MAP,
        Conv(grid(RNG, 4, 1, 3, 3), grid(RNG, 4), stride=(2, 2), padding=(1, 1), dilation=(1, 1), groups=4),
        Conv(grid(RNG, 3, 4, 1, 1), grid(RNG, 3)),
        (3, 3, 3),
    ),
    "groups of both": (
        MAP,
        Conv(grid(RNG, 4, 2, 3, 3), padding=(1, 1), groups=2),
        Conv(grid(RNG, 6, 2, 1, 1), grid(RNG, 6), groups=2),
        (6, 6, 6),
    ),
    "one place first": (
        MAP,
        Conv(grid(RNG, 3, 4, 1, 1)),
        Conv(grid(RNG, 2, 3, 3, 3), grid(RNG, 2), padding=(1, 1)),
        (2, 6, 6),
    ),
    "one place with a border and a bias, then a convolution a channel": (
        MAP,
        Conv(grid(RNG, 4, 4, 1, 1), grid(RNG, 4), padding=(1, 2)),
        Conv(grid(RNG, 4, 1, 3, 3), stride=(2, 1), dilation=(1, 2), groups=4),
        (4, 3, 6),
    ),
    "a border before a border": (
        MAP,
        Conv(grid(RNG, 4, 2, 1, 1), padding=(2, 0), groups=2),
        Conv(grid(RNG, 4, 2, 3, 3), grid(RNG, 4), padding=(1, 1), groups=2),
        (4, 10, 6),
    ),
}


def rows(what):
    shape, first, second, leaving = PAIRS[what]
    return chain(input=Input(shape), first=first, second=second, lif=lif(np.random.default_rng(0), *leaving))


@pytest.mark.parametrize("what", PAIRS)
def test_the_product_has_the_sums_of_both(what):
    graph = rows(what)
    merged = merge_synapses(graph)
    assert [*merged.nodes_of(Synapse)] == ["second"]
    x = grid(np.random.default_rng(1), 3, *graph.entry.shape)
    both, one = (definition.run(each, x) for each in (graph, merged))
    np.testing.assert_allclose(one.values["second"], both.values["second"], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(one.values["lif"], both.values["lif"])


@pytest.mark.parametrize("sources", [["input"], ["input", "scale"]])
def test_places_that_are_weighed_before_a_matrix_become_a_part_of_it(sources):
    """Along each axis, as a resampled map is before the last layer; with a bias, in groups, behind a sum."""
    nodes = {
        "input": Input(MAP),
        "rows": Reshape((1, 0, 2), (6, 4, 6)),
        "a": Conv(grid(RNG, 3, 6, 1, 1), grid(RNG, 3)),
        "columns": Reshape((2, 1, 0), (6, 4, 3)),
        "b": Conv(grid(RNG, 4, 3, 1, 1), groups=2),
        "back": Reshape((1, 2, 0), (4, 3, 4)),
        "flatten": Flatten(),
        "fc": Linear(grid(RNG, 5, 48), grid(RNG, 5)),
        "lif": lif(np.random.default_rng(0), 5),
    }
    graph = chain(**nodes)
    if len(sources) > 1:
        edges = (*graph.edges, ("input", "scale"), ("scale", "rows"))
        graph = graph.with_(nodes={**graph.nodes, "scale": Scale(np.asarray(0.5))}, edges=edges)
    merged = merge_synapses(graph)
    assert merged.sources("flatten") == tuple(sources)
    assert [type(node) for node in merged.nodes.values()].count(Linear) == 1
    assert not merged.nodes_of(Conv, Reshape)
    x = grid(RNG, 20, *MAP)
    both = [simulate(each, x, Request(trains=True, membranes=True)) for each in (graph, merged)]
    assert both[0].trains["lif"].unpack().any()
    assert np.array_equal(*(record.membranes["lif"] for record in both)), "grids are exact"


def test_pairs_that_are_no_one_synapse_stay():
    """A bias under a border, a convolution of several places behind another, a first that feeds others too."""
    wide, border = Conv(grid(RNG, 3, 4, 3, 3)), Conv(grid(RNG, 2, 3, 3, 3), padding=(1, 1))
    for first, second in ((wide, Conv(grid(RNG, 2, 3, 3, 3))), (Conv(grid(RNG, 3, 4, 1, 1), grid(RNG, 3)), border)):
        size = second.output_shape(first.output_shape(MAP))
        graph = chain(input=Input(MAP), first=first, second=second, lif=lif(RNG, *size))
        assert merge_synapses(graph) == graph
    nodes = {**rows("matrices").nodes, "too": Scale(np.ones(()))}
    edges = (("input", "first"), ("first", "second"), ("second", "lif"), ("first", "too"))
    graph = Graph(nodes, edges, T, REAL, named_outputs=("lif", "too"))
    assert merge_synapses(graph) == graph


def test_quantisation_says_which_synapses_are_one():
    graph = rows("a convolution a channel, then one of one place").with_(arithmetic=Real("float64"))
    x = np.random.default_rng(2).integers(0, 9, (30, *MAP)).astype(np.float64) / 8
    quantised = quantize(graph, x, run=simulate, steps=())
    assert [(f.code, f.where) for f in quantised.findings if f.code == "SP436"] == [("SP436", "node 'first'")]
    real, whole = (simulate(each, x, Request(trains=True)).trains["lif"] for each in (graph, quantised.graph))
    assert real.apart(whole).sum() < 0.05 * np.prod(real.shape)
