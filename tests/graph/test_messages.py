"""What travels over each synapse's input is held against the message bits, by every target, before anything runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI1, LOIHI2, Flatten, Graph, Input, Linear, Loihi, Pool, Scale
from spikeport.target import Request, target

LAYER = LIF((3,), np.asarray(4096), np.full(2, 9), compare=">")
SAME = Linear(np.eye(3, dtype=np.int8))


def residual(profile, branches):
    """The spikes of ``branches`` layers added up in front of one synapse."""
    nodes, edges = {"input": Input((3,), "events", low=0, high=1)}, []
    for index in range(branches):
        nodes |= {f"fc{index}": SAME, f"lif{index}": LAYER}
        edges += [("input", f"fc{index}"), (f"fc{index}", f"lif{index}"), (f"lif{index}", "sum")]
    nodes |= {"sum": SAME, "out": LAYER}
    return Graph(nodes, (*edges, ("sum", "out")), 2, Loihi(profile))


def said(name, graph):
    return [
        (finding.code, finding.where, finding.severity)
        for finding in target(name).check(graph)
        if finding.code != "SP602"
    ]


WIDE = [("SP513", "node 'sum'", "substituted")]


@pytest.mark.parametrize("name", ["integer", "onnxruntime", "lava"])
@pytest.mark.parametrize(("bits", "branches", "too_wide"), [(2, 3, False), (2, 4, True), (3, 7, False), (3, 8, True)])
def test_a_sum_of_n_spikes_is_n_and_so_many_bits_hold_it(name, bits, branches, too_wide):
    graph = residual(replace(LOIHI2, message_bits=bits), branches)
    assert said(name, graph) == (WIDE if too_wide else [])


def test_one_bit_is_too_few_for_a_residual_on_every_target():
    graph = residual(replace(LOIHI1, schedule=True), 2)
    assert said("integer", graph) == WIDE == said("onnxruntime", graph)
    assert said("lava", graph) == [("SP613", "node 'sum'", "error")]


def test_the_record_says_so_too():
    graph = residual(replace(LOIHI2, message_bits=2), 4)
    record = target("integer").run(graph, np.ones((2, 1, 3)), Request())
    assert [finding.code for finding in record.findings] == ["SP513"]


@pytest.mark.parametrize("name", ["integer", "lava"])
def test_an_input_without_bounds_is_not_taken_on_trust(name):
    graph = Graph.chain({"input": Input((3,)), "fc": SAME, "lif": LAYER}, 2, arithmetic=Loihi(LOIHI2))
    (finding,) = target(name).check(graph)
    assert (finding.code, finding.where) == ("SP513", "node 'fc'")
    assert "inf" in finding.what


@pytest.mark.parametrize("name", ["integer", "lava"])
def test_pools_and_factors_make_messages_wider(name):
    nodes = {
        "input": Input((3, 2, 2), "events", low=0, high=60),
        "pool": Pool("sum", (2, 2), (2, 2)),
        "scale": Scale(np.asarray(1)),
        "flat": Flatten(),
        "fc": SAME,
        "lif": LAYER,
    }

    graph = Graph.chain(nodes, 2, arithmetic=Loihi(LOIHI2))
    assert said(name, graph) == []  # 4 * 60
    doubled = graph.replace({"scale": Scale(np.asarray(2))})
    assert said(name, doubled) == [("SP513", "node 'fc'", "substituted")]


def test_an_input_beyond_the_messages_never_becomes_a_graph():
    with pytest.raises(SpikeportError) as caught:
        Graph.chain({"input": Input((3,), high=100_000), "fc": SAME, "lif": LAYER}, 2, arithmetic=Loihi(LOIHI2))
    assert [finding.code for finding in caught.value.findings] == ["SP117"]
