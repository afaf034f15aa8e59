"""A graph as SVG, without any layout program: ranks from top to bottom, branches side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from spikeport.graph import LIF, Conv, Delay, Graph, Input, Linear, Node, Norm, Pool, Readout, Scale
from spikeport.graph.neurons import EVERY_SPIKE

TIMES = "\u00d7"  #: the multiplication sign
BOX, HIGH, ACROSS, DOWN = 232, 38, 26, 24  #: width and height of a node, gaps between them, in the drawing's units
HEAD = 6  #: length of an arrow's head, in widths of its line; its tip lies on the box


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is drawn: the middle of its top edge."""

    x: float
    y: float


def draw(graph: Graph) -> Markup:
    """The graph, a box a node, coloured by kind through the page's classes; each node's facts are its tooltip."""
    places = layout(graph)
    width = max(place.x for place in places.values()) + BOX / 2 + 40
    height = max(place.y for place in places.values()) + HIGH + 10
    edges = "".join(_edge(places[a], places[b]) for a, b in graph.edges)
    boxes = "".join(_box(graph, name, places[name]) for name in graph)
    head = (
        f'<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="{HEAD}" markerHeight="{HEAD}" '
        'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    alt = escape(f"The network as a graph of {len(graph.nodes)} nodes: {' to '.join(graph)}")
    return Markup(
        f'<svg class="network" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width:{width:.0f}px" role="img" aria-label="{alt}">{head}{edges}{boxes}</svg>'
    )


def ranks(graph: Graph) -> dict[str, int]:
    """How many nodes lie on the longest way from the input to each node; edges back in time do not count."""
    rank: dict[str, int] = {}
    for name in graph.order:
        before = [rank[source] for source in graph.sources(name) if source in rank]
        rank[name] = 1 + max(before, default=-1)
    return rank


def layout(graph: Graph) -> Mapping[str, Place]:
    """A column for the main way, and one more for each node that shares its rank."""
    taken: dict[int, int] = {}
    places = {}
    for name, rank in ranks(graph).items():
        column = taken.get(rank, 0)
        taken[rank] = column + 1
        places[name] = Place(40 + BOX / 2 + column * (BOX + ACROSS), 10 + rank * (HIGH + DOWN))
    return places


def _edge(a: Place, b: Place) -> str:
    """Straight to the next node; past others on the left of their column; between columns through the gap."""
    start, end = a.y + HIGH, b.y
    left = a.x - BOX / 2
    gap = max(a.x, b.x) - BOX / 2 - ACROSS / 2
    if a.x == b.x and end - start <= DOWN and b.y > a.y:
        path = f"M{a.x:.0f} {start:.0f}V{end:.0f}"
    elif a.x == b.x:
        high, low = a.y + 0.7 * HIGH, b.y + 0.3 * HIGH
        path = f"M{left:.0f} {high:.0f}C{left - 36:.0f} {high:.0f} {left - 36:.0f} {low:.0f} {left:.0f} {low:.0f}"
    elif a.x < b.x:
        path = f"M{a.x + BOX / 2:.0f} {a.y + HIGH / 2:.0f}H{gap:.0f}V{b.y - 12:.0f}H{b.x - BOX / 4:.0f}V{end:.0f}"
    else:
        path = f"M{a.x - BOX / 4:.0f} {start:.0f}v8H{gap:.0f}V{b.y - 12:.0f}H{b.x + BOX / 4:.0f}V{end:.0f}"
    return f'<path class="edge" marker-end="url(#head)" d="{path}"/>'


def _box(graph: Graph, name: str, place: Place) -> str:
    node = graph[name]
    shape = TIMES.join(map(str, graph.shapes[name]))
    tip = escape(f"{name}: {describe(node)}, gives {shape}")
    what = escape(f"{describe(node).split(', >')[0]} → {shape}")
    left = place.x - BOX / 2
    return (
        f'<g class="node {kind(node)}" data-tip="{tip}"><rect x="{left:.0f}" y="{place.y:.0f}" width="{BOX}" '
        f'height="{HIGH}" rx="7"/><text class="name" x="{left + 10:.0f}" y="{place.y + 16:.0f}">{escape(short(name))}'
        f'</text><text class="what" x="{left + 10:.0f}" y="{place.y + 31:.0f}">{what}</text></g>'
    )


def short(name: str, most: int = 28) -> str:
    """The end of a long name, which tells more than its start."""
    return name if len(name) <= most else "…" + name[1 - most :]


def kind(node: Node) -> str:
    """Class of a node in the page's style."""
    if isinstance(node, LIF):
        return "neuron"
    return "synapse" if isinstance(node, Conv | Linear) else "plumbing"


def describe(node: Node) -> str:
    """A node in a few words."""
    if isinstance(node, Conv):
        size = TIMES.join(map(str, node.kernel))
        return f"conv {size}" + (f" / {node.stride[0]}" if set(node.stride) != {1} else "")
    if isinstance(node, LIF):
        often = f", up to {node.most_spikes} spikes" if 1 < node.most_spikes < EVERY_SPIKE else ""
        often = ", any number of spikes" if node.most_spikes >= EVERY_SPIKE else often
        low = ", lower bound" if node.lower_bound is not None else ""
        return f"{type(node).__name__}, reset {node.reset}, {node.compare} threshold{often}{low}"
    if isinstance(node, Pool):
        return f"{node.kind} pool {TIMES.join(map(str, node.kernel))}"
    if isinstance(node, Delay):
        return f"delay {node.steps}"
    words = {Linear: "linear", Input: "input", Readout: "readout", Norm: "batch norm", Scale: "scale"}
    text = words.get(type(node), type(node).__name__.lower())
    return f"{text}, {node.coding}" if isinstance(node, Input) else text
