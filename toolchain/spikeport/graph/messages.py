"""What travels between layers in Loihi arithmetic, held against what one message of the profile holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from spikeport.findings import Finding
from spikeport.graph.arithmetic import Loihi, Profile
from spikeport.graph.neurons import LIF
from spikeport.graph.plumbing import Input
from spikeport.graph.synapses import Synapse

if TYPE_CHECKING:
    from spikeport.graph.graph import Graph

INPUT_BITS = 8  #: input may be this wide where messages are narrower: a host forms the first layer's sums (SP404)


def holds(bits: int, low: float) -> tuple[int, int]:
    """Smallest and largest value of one message: two's complement where values are negative, else unsigned."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if low < 0 else (0, 2**bits - 1)


def input_findings(graph: Graph, name: str, profile: Profile) -> Iterator[Finding]:
    """SP117 where an input that enters a synapse has bounds beyond a message.

    Each of its values is one message, however they are added afterwards. Input that enters neurons is a current and
    sends none; bounds that are not known are left to `wide_messages`.
    """
    node = graph.nodes[name]
    assert isinstance(node, Input)
    low, high = holds(max(profile.message_bits, INPUT_BITS), node.low)
    beyond = (np.isfinite(node.low) and node.low < low) or (np.isfinite(node.high) and node.high > high)
    if beyond and _enters_a_synapse(graph, name):
        yield Finding(
            "SP117",
            f"values of {node.low:g} ... {node.high:g} may enter, a message of the profile {profile.name!r} holds "
            f"{low} ... {high}",
            where=f"node {name!r}",
            why="a chip would cut such a value off.",
            mend="choose a larger unit, so that the values are smaller (quantize does), or a profile with more "
            "message_bits",
        )


def _enters_a_synapse(graph: Graph, name: str) -> bool:
    seen, waiting = {name}, [name]
    while waiting:
        for target in graph.targets(waiting.pop()):
            node = graph.nodes[target]
            if isinstance(node, Synapse):
                return True
            if target not in seen and not isinstance(node, LIF):
                seen.add(target)
                waiting.append(target)
    return False


def wide_messages(graph: Graph) -> Iterator[Finding]:
    """SP513 for each synapse whose input may be more than one message holds, for targets that carry it as one value.

    Sums of spikes, pools and scales distribute over the synapses behind them, so that several messages have the same
    effect; simulators add before the synapse, and their integers are wider than a message.
    """
    from spikeport.graph.ranges import value_ranges  # which needs the Graph, and the Graph this file

    if not isinstance(graph.arithmetic, Loihi):
        return
    profile = graph.arithmetic.profile
    for name, (least, most) in value_ranges(graph).items():
        low, high = holds(profile.message_bits, least)
        if isinstance(graph.nodes[name], Synapse) and (least < low or most > high):
            yield Finding(
                "SP513",
                f"gets values of {least:g} ... {most:g} as one, a message of the profile {profile.name!r} holds "
                f"{low} ... {high}",
                where=f"node {name!r}",
                why="the result is that of several messages, each through its own synapses, which a chip needs here.",
                mend="nothing, or a profile with more message_bits; for an input give its low and high",
                severity="substituted",
            )
