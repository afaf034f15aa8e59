"""Loihi's integers as the real numbers that they stand for."""

from __future__ import annotations

import numpy as np

from spikeport.comparison.units import as_written
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Scale


def test_a_sum_enters_a_membrane_64_times_and_a_factor_elsewhere_once():
    """Weights carry 64 * 2**exponent, a factor straight before neurons 64, one before a synapse nothing."""
    lif = LIF((1,), np.int64(2048), np.asarray([30]), compare=">")
    nodes = {
        "in": Input((1,), "events"),
        "fc": Linear(np.asarray([[5]], np.int8), exponent=1),
        "one": lif,
        "before": Scale(np.int64(3)),
        "more": Linear(np.asarray([[7]], np.int8)),
        "two": lif,
        "straight": Scale(np.int64(2)),
        "three": lif,
    }
    written = as_written(Graph.chain(nodes, 1, arithmetic=Loihi(LOIHI2)))
    assert (written["fc"].weight.item(), written["more"].weight.item()) == (5 * 128, 7 * 64)
    assert (written["before"].factor.item(), written["straight"].factor.item()) == (3, 2 * 64)
    assert (written["one"].threshold.item(), written["one"].decay.item()) == (30 * 64, 0.5)
