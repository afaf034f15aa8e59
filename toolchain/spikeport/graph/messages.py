"""What travels between layers in Loihi arithmetic, held against what one message of the profile holds."""

from __future__ import annotations

from collections.abc import Iterator

from spikeport.findings import Finding
from spikeport.graph.graph import Graph
from spikeport.graph.inputs import holds
from spikeport.graph.loihi import Loihi
from spikeport.graph.ranges import into, ranges
from spikeport.graph.synapses import Synapse


def wide_messages(graph: Graph) -> Iterator[Finding]:
    """SP513 for each synapse whose input may be more than one message holds, for targets that carry it as one value.

    Sums of spikes, pools and scales distribute over the synapses behind them, so that several messages have the same
    effect; simulators add before the synapse, and their integers are wider than a message.
    """
    if not isinstance(graph.arithmetic, Loihi):
        return
    profile, bounds = graph.arithmetic.profile, ranges(graph)
    for name in graph.nodes_of(Synapse):
        x = into(graph, name, bounds)
        low, high = holds(profile.message_bits, x.low)
        if x.low < low or x.high > high:
            yield Finding(
                "SP513",
                f"gets values of {x.low:g} ... {x.high:g} as one, a message of the profile {profile.name!r} holds "
                f"{low} ... {high}",
                where=f"node {name!r}",
                why="the result is that of several messages, each through its own synapses, which a chip needs here.",
                mend="nothing, or a profile with more message_bits; for an input give its low and high",
                severity="substituted",
            )
