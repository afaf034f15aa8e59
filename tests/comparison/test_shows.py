"""What a target can show is its own word: verbs ask it, and no list of names stands elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Graph, Input, Linear
from spikeport.target import Request, registry, shows
from spikeport.verbs.events import events


@pytest.fixture
def graph():
    weight = np.array([[0.7, 0.2], [0.1, 0.9]], np.float32)
    nodes = {"in": Input((2,)), "fc": Linear(weight), "lif": LIF((2,), np.float32(0.5), np.ones(4, np.float32))}
    return Graph.chain(nodes, 4)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("reference", {"membranes", "events"}),
        ("integer", {"membranes", "events", "integers"}),
        ("integer-cuda", {"membranes", "events", "integers"}),
        ("onnxruntime", set()),
        ("lava", {"membranes"}),
        ("sanafe", set()),
        ("pytorch", set()),
    ],
)
def test_each_target_says_what_it_shows(name, kinds):
    assert shows(name) == kinds


def test_a_name_that_is_none_is_refused():
    with pytest.raises(SpikeportError, match="SP501"):
        shows("nobody")


class Plain:
    """A plug-in of 0.1, which knows of no such word; it refuses to count events by itself."""

    name = "plain"

    def availability(self):
        raise NotImplementedError

    def check(self, graph):
        return []

    def run(self, graph, samples, request):
        assert not request.events
        return simulate(graph, samples, request)


def test_a_target_that_says_nothing_shows_membranes_and_counts_no_events(graph, monkeypatch):
    monkeypatch.setitem(registry(), "plain", Plain())
    assert shows("plain") == {"membranes"}
    samples = np.array([[1.0, 0.5], [0.2, 2.0]], np.float32)
    derived = events(graph, samples=samples, target="plain").record.events["fc"]
    counted = simulate(graph, samples, Request(events=True)).events["fc"]
    np.testing.assert_array_equal(derived.synops, counted.synops)
