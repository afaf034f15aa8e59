"""Random networks of every node and option, in either arithmetic and any profile, and random samples for them.

    graph, samples = random_graph(seed, integers=True)
    graph = draw(rng, Wish("float32", recurrent=False))

In real arithmetic all numbers are short binary fractions unless ``odd_bits``: float32 and float64 compute without
rounding, in any order (`exact_sums`), so that two correct implementations agree on every bit, and ties are common.
"""

from __future__ import annotations

import numpy as np

from exact_sums import SIGNIFICAND, significand
from graph_maker import Maker, Wish
from random_numbers import Numbers, random_profile
from spikeport.graph import Delay, Input, Loihi


def once(rng, wish):
    """One graph, in whatever numbers."""
    steps = int(rng.integers(1, wish.timesteps + 1))
    profile = (wish.profile or random_profile(rng)) if wish.arithmetic == "loihi" else None
    numbers = Numbers(rng, steps, profile, wish.arithmetic, wish.odd_bits)
    maker = Maker(wish, numbers)
    coding = wish.coding or numbers.pick("direct", "events")
    maker.add("input", Input(numbers.pick(*wish.shapes), coding, **numbers.entering()))
    for _ in range(int(rng.integers(1, wish.blocks + 1))):
        maker.block()
    if wish.recurrent and not any(isinstance(node, Delay) for node in maker.nodes.values()):
        maker.feed_back(maker.seen[-1][0])
    maker.leave()
    return maker.graph()


def draw(rng, wish):
    """A graph; one whose numbers would be rounded somewhere is drawn again."""
    while True:
        graph = once(rng, wish)
        if wish.recurrent and not graph.recurrent:
            continue
        if wish.arithmetic == "loihi" or wish.odd_bits or significand(graph) <= SIGNIFICAND[wish.arithmetic]:
            return graph


def samples(graph, seed=0, batch=3):
    """Samples that a graph takes, float32: [B, ...] or [T, B, ...]; some hold the ends of what may enter only."""
    node = graph.nodes[graph.input]
    rng = np.random.default_rng(seed)
    size = (graph.timesteps, batch, *node.shape) if node.coding == "events" else (batch, *node.shape)
    if isinstance(graph.arithmetic, Loihi):
        low, high = int(node.low), int(node.high)
        units = rng.choice([low, high], size) if rng.random() < 0.1 else rng.integers(low, high + 1, size)
        return (units * np.float64(node.unit)).astype(np.float32)
    if node.coding == "events" and rng.random() < 0.7:
        return rng.integers(0, 2, size).astype(np.float32)
    return (rng.integers(-16, 33, size) / 16).astype(np.float32)


def random_graph(seed, *, integers, batch=3, feed_back=True):
    """A graph and samples for it."""
    wish = Wish("loihi" if integers else "float64", recurrent=None if feed_back else False)
    rng = np.random.default_rng(seed)
    graph = draw(rng, wish)
    return graph, samples(graph, int(rng.integers(2**32)), batch)
