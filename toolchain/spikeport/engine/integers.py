"""How large the engine's integers get, and in which type of PyTorch or how many bits they are kept."""

from __future__ import annotations

import numpy as np
import torch

from spikeport.findings import fail
from spikeport.graph import DECAY_ONE, LIF, STATE_SHIFT, Graph, Profile, Range
from spikeport.graph.accumulators import worst_current
from spikeport.graph.ranges import ranges, sums

EXACT = 2**53  #: float64 holds every whole number up to here


def exact_ranges(graph: Graph, entering: Range) -> dict[str, Range]:
    """The range of what leaves each node, for whole numbers in ``entering``; of a synapse after its exponent.

    Raises SP509 where a sum could leave the whole numbers that float64 holds.
    """
    bounds = ranges(graph, entering)
    for name in graph.order:
        if max(bounds[name].size, sums(graph, name, bounds).size) >= EXACT:
            fail(
                "SP509",
                f"its values may reach {bounds[name].size:.3g}, more than the engine computes exactly",
                where=f"node {name!r}",
                mend="smaller weights, a smaller exponent, or a neuron in the loop",
            )
    return bounds


def holding(x: Range) -> torch.dtype:
    """The smallest type that holds whole numbers in a range: uint8, int32 or int64."""
    if x.low >= 0 and x.high <= 255:
        return torch.uint8
    return torch.int32 if x.size < 2**31 else torch.int64


def fits(node: LIF, x: Range, profile: Profile) -> bool:
    """Whether 32 bits hold everything that an integer layer computes, for sums in ``x``; not where one must be refused.

    A step adds up at most: the decayed membrane (``top``, or the reset value), the input or the synaptic current
    (`worst_current`), each shifted by 6 bits, and the bias.
    """
    top = profile.state_top
    if _wraps(x, profile) and (profile.accumulator_overflow == "refuse" or x.size >= 2**31):
        return False
    membrane = max(top, int(np.abs(node.reset_value).max()))
    bias = int(np.abs(node.bias.astype(np.float64)).max())
    return worst_current(node, x, profile) + membrane + bias < 2**31 - 1 and top < 2**30


def may_overflow(node: LIF, x: Range, profile: Profile) -> bool:
    """Whether a sum in ``x``, or the current that it feeds, may leave the accumulator or the membrane's range."""
    return _wraps(x, profile) or worst_current(node, x, profile) > profile.state_top


def never_full(node: LIF, x: Range, profile: Profile) -> bool:
    """Whether no membrane that starts at zero reaches its range's end in the layer's steps, for sums in ``x``.

    A step adds at most `worst_current` and the bias to what the decay leaves, and a spike adds a reset value at most.
    """
    bias = int(np.abs(node.bias.astype(np.float64)).max())
    kept = float(node.decay.max()) / DECAY_ONE
    steps = sum(kept**step for step in range(node.timesteps)) if kept < 1 else node.timesteps
    membrane = steps * (worst_current(node, x, profile) + bias) + int(np.abs(node.reset_value).max())
    return membrane < profile.state_top and int(node.threshold.min()) >= 0


def _wraps(x: Range, profile: Profile) -> bool:
    """Whether a sum in ``x`` may leave the accumulator."""
    least, shifted = profile.accumulator_least, x.shifted(STATE_SHIFT)
    return least is not None and (shifted.low < least or shifted.high >= -least)
