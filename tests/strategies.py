"""The graphs of `random_graphs` as a strategy for hypothesis, and samples for them.

from strategies import graphs, samples
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from graph_maker import Wish
from random_graphs import draw, samples
from spikeport.graph import Readout

__all__ = ["graphs", "liftable", "samples"]


def liftable(graph):
    """Whether ONNX's operators alone say everything: not a readout whose bias differs within a channel."""
    return all(node.bias.ndim <= 1 for node in graph.nodes_of(Readout).values())


@st.composite
def graphs(draw_, *, arithmetic=None, blocks=3, timesteps=5, odd_names=True, **wish):
    """Random graphs: ``arithmetic`` is float32, float64, loihi, or None for any; what else may be said is in `Wish`."""
    kind = arithmetic or draw_(st.sampled_from(["float32", "float64", "loihi"]))
    rng = np.random.default_rng(draw_(st.integers(0, 2**32 - 1)))
    return draw(rng, Wish(kind, blocks=blocks, timesteps=timesteps, odd_names=odd_names, **wish))
