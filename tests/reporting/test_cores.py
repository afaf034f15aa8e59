"""The core map shows every core once, and the table behind it says the same."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from spikeport.graph import LIF, Flatten, Graph, Input, Linear, Readout
from spikeport.mapping import find
from spikeport.reporting import render
from spikeport.reporting.cores import core_map, cores
from spikeport.verbs.fit import placed

T = 2


def network(hidden=3000):
    """Layers of more neurons than a core holds, so that several chips' worth of cores can be asked for."""

    def lif(size):
        return LIF((size,), np.float32(0.5), np.ones(T, np.float32))

    nodes = {
        "input": Input((1, 4, 4)),
        "flat": Flatten(),
        "a": Linear(np.ones((hidden, 16), np.float32)),
        "one <&>": lif(hidden),
        "b": Linear(np.ones((10, hidden), np.float32)),
        "two": lif(10),
        "out": Readout((10,), np.ones(T, np.float32)),
    }
    return Graph.chain(nodes, timesteps=T)


def test_every_core_is_one_square_and_none_lies_on_another():
    facts, placement = placed(network())
    drawing = ElementTree.fromstring(str(core_map(placement)))
    squares = {path.get("data-tip"): re.findall(r"M(\d+) (\d+)", path.get("d")) for path in drawing if path.get("d")}
    layers = facts["bounds"]["shared"]["layers"]
    assert [len(places) for places in squares.values()] == [layer["cores"] for layer in layers.values()]
    everywhere = [place for places in squares.values() for place in places]
    assert len(set(everywhere)) == len(everywhere) == facts["bounds"]["shared"]["cores"] > 2
    assert all(name in drawing.get("aria-label") for name in layers)


def test_squares_lie_within_the_frame_of_a_chip():
    _, placement = placed(network(600_000))
    assert placement.fit.chips > 4  # more than one row of them
    drawing = ElementTree.fromstring(str(core_map(placement)))
    frames = [tuple(int(r.get(key)) for key in ("x", "y", "width", "height")) for r in drawing if r.get("width")]
    assert len(frames) == placement.fit.chips
    for path in drawing:
        for x, y in re.findall(r"M(\d+) (\d+)", path.get("d") or ""):
            assert any(left <= int(x) < left + w and top <= int(y) < top + h for left, top, w, h in frames)
    assert len(str(core_map(placement))) < 40 * placement.fit.cores + 20_000


def test_the_page_has_verdict_map_and_table():
    facts, placement = placed(network())
    page = render({"model": "m", "fit": facts}, {"cores": str(core_map(placement))})
    assert facts["bounds"]["shared"]["sentence"] in page
    assert 'class="cores"' in page
    assert [row.layer for row in cores({"fit": facts}).rows] == ["one <&>", "two", "out"]
    assert "one <&>" not in page
    limit = find("loihi1")["cores"]
    assert all(entry["chips"] == -(-entry["cores"] // limit) for entry in facts["bounds"].values())


def test_what_cannot_be_mapped_says_why():
    bare = Graph.chain({"input": Input((4,)), "a": Linear(np.ones((4, 4), np.float32))}, timesteps=T)  # no neurons
    facts, placement = placed(bare)
    assert placement is None
    assert facts["notes"][0] in render({"model": "m", "fit": facts}).replace("&#39;", "'")


def test_a_result_without_a_fit_has_no_section():
    assert 'id="cores"' not in render({"model": "m"})
