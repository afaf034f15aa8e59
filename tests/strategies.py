"""Random graphs of every kind that a Graph can be, and samples for them.

    from strategies import graphs, samples

Numbers are multiples of 1/16 unless ``odd_bits`` asks for arbitrary ones: sums are then exact in float32 in any order,
so that two correct implementations must agree on every spike.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from drawn_graphs import Maker
from spikeport.graph import LIF, CubaLIF, Loihi

ODD_NAMES = [
    "a/b",
    "layer.0.lif",
    "ünï",
    "神経",
    "",
    " ",
    "input",
    "output",
    ".",
    "..",
    "x\ty",
    "0",
    "a_b",
    "metadata",
    "%2F",
]


def samples(graph, seed=0, batch=3):
    """Samples that a graph takes: [B, ...] or [T, B, ...], about half of the neurons driven above threshold."""
    node = graph.nodes[graph.input]
    rng = np.random.default_rng(seed)
    lead = (graph.timesteps, batch) if node.coding == "events" else (batch,)
    if isinstance(graph.arithmetic, Loihi):
        units = rng.integers(int(node.low), int(node.high) + 1, (*lead, *node.shape))
        return (units * np.float64(node.unit)).astype(np.float32)
    if node.coding == "events":
        return rng.integers(0, 2, (*lead, *node.shape)).astype(np.float32)
    return (rng.integers(-16, 17, (*lead, *node.shape)) / 16).astype(np.float32)


@st.composite
def graphs(
    draw,
    *,
    arithmetic=None,
    recurrent=None,
    norms=True,
    delays=True,
    odd_bits=False,
    odd_names=True,
    resets=("zero", "subtract", "value", "none"),
    kinds=(LIF, CubaLIF),
    blocks=3,
    timesteps=5,
    readout=None,
    coding=None,
):
    """Random graphs.

    arithmetic: "float32", "float64", "loihi", or None for any. recurrent, readout: True, False, or None for either.
    coding: "direct", "events" or None. norms, delays: whether such nodes may occur. resets, kinds: which neurons.
    odd_bits: arbitrary numbers rather than exact ones. odd_names: "/", unicode and the like in names.
    """
    kind = arithmetic or draw(st.sampled_from(["float32", "float64", "loihi"]))
    maker = Maker(
        rng=np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
        steps=draw(st.integers(1, timesteps)),
        kind=kind,
        norms=norms and kind != "loihi",
        delays=delays,
        odd_bits=odd_bits,
        resets=list(resets),
        kinds=list(kinds),
        coding=coding,
    )
    maker.enter()
    count = draw(st.integers(1, blocks))
    feedback = draw(st.booleans()) if recurrent is None else recurrent
    for index in range(count):
        maker.block(residual=draw(st.booleans()), feedback=feedback and (index == count - 1 or draw(st.booleans())))
    maker.leave(draw(st.booleans()) if readout is None else readout)
    names = {name: name for name in maker.nodes}
    if odd_names:
        pool = draw(st.permutations(ODD_NAMES))
        names |= {name: pool[i] for i, name in enumerate(maker.nodes) if i < len(pool) and draw(st.booleans())}
    return maker.graph(names)
