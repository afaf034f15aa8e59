"""The drawing shows every node and edge, and nothing lies on top of anything else."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Readout
from spikeport.reporting import draw
from spikeport.reporting.drawing import BOX, HIGH, layout


def residual():
    def conv():
        return Conv(np.ones((2, 2, 3, 3)), padding=(1, 1))

    def lif():
        return LIF((2, 4, 4), np.asarray(0.5), np.ones(3))

    nodes = {
        "input": Input((2, 4, 4)),
        "stem": conv(),
        "lif0": lif(),
        "a": conv(),
        "lif1": lif(),
        "b": conv(),
        "lif2": lif(),
        "skip": conv(),
        "flat": Flatten(),
        "head": Linear(np.ones((5, 32))),
        "out": Readout((5,), np.ones(3)),
    }
    edges = (
        ("input", "stem"),
        ("stem", "lif0"),
        ("lif0", "a"),
        ("a", "lif1"),
        ("lif1", "b"),
        ("b", "lif2"),
        ("lif0", "skip"),
        ("skip", "lif2"),
        ("lif2", "flat"),
        ("flat", "head"),
        ("head", "out"),
    )
    return Graph(nodes, edges, 3)


def test_every_node_and_edge_is_drawn():
    graph = residual()
    root = ElementTree.fromstring(draw(graph))
    space = "{http://www.w3.org/2000/svg}"
    names = {text.text for text in root.iter(f"{space}text") if text.get("class") == "name"}
    assert names == set(graph.nodes)
    assert sum(path.get("class") == "edge" for path in root.iter(f"{space}path")) == len(graph.edges)


def test_no_two_boxes_overlap_and_sources_lie_above():
    graph = residual()
    places = layout(graph)
    boxes = list(places.values())
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert abs(a.x - b.x) >= BOX or abs(a.y - b.y) >= HIGH
    assert all(places[a].y < places[b].y for a, b in graph.edges)


def test_names_from_outside_are_escaped():
    nodes = {"<b>": Input((2,)), "out": Readout((2,), np.ones(1))}
    assert not re.search(r"<b>", draw(Graph(nodes, (("<b>", "out"),), 1)))


def test_an_arrow_s_tip_lies_on_the_box_it_points_to():
    graph = residual()
    places = layout(graph)
    space = "{http://www.w3.org/2000/svg}"
    paths = [path for path in ElementTree.fromstring(draw(graph)).iter(f"{space}path") if path.get("class") == "edge"]
    for (_, target), path in zip(graph.edges, paths, strict=True):
        x, y = places[target].x, places[target].y
        *_, command, numbers = re.split(r"([A-Za-z])", path.get("d"))
        end = [float(number) for number in numbers.split()]
        on_top = command == "V" and end == [y]
        on_the_left = command == "C" and end[-2] == x - BOX / 2 and y <= end[-1] <= y + HIGH
        assert on_top or on_the_left, target
        assert path.get("marker-end") == "url(#head)"
