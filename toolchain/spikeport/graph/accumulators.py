"""Sums that a neuron's accumulator may not hold, said before a run."""

from __future__ import annotations

from collections.abc import Iterator

from spikeport.findings import Finding
from spikeport.graph.bounds import Range
from spikeport.graph.graph import Graph
from spikeport.graph.loihi import Loihi
from spikeport.graph.neurons import LIF
from spikeport.graph.profile import STATE_SHIFT
from spikeport.graph.ranges import into, ranges


def wide_sums(graph: Graph, *, refuses: bool = True) -> Iterator[Finding]:
    """SP123 for each layer whose sums could leave the accumulator of the profile.

    ``refuses``: whether the target ends a run at such a sum where the profile wants that; one that cannot refuses the
    graph.
    """
    for name, x in beyond(graph).items():
        assert isinstance(graph.arithmetic, Loihi)
        profile = graph.arithmetic.profile
        wraps, top = profile.accumulator_overflow == "wrap", -int(profile.accumulator_least or 0)
        yield Finding(
            "SP123",
            f"its sums may reach {x.low:g} ... {x.high:g} membrane units, the accumulator of the profile "
            f"{profile.name!r} holds {-top} ... {top - 1}",
            where=f"node {name!r}",
            why="such a sum wraps around, as on the chip; the record counts it where the engine runs."
            if wraps
            else 'the profile says accumulator_overflow = "refuse".',
            mend="nothing where the record counts none, or smaller exponents, or fewer weight bits",
            severity="note" if wraps or refuses else "error",
        )


def beyond(graph: Graph) -> dict[str, Range]:
    """The neuron layers whose sums could leave the accumulator, with their ranges in the membrane's unit."""
    least = graph.arithmetic.profile.accumulator_least if isinstance(graph.arithmetic, Loihi) else None
    if least is None:
        return {}
    bounds = ranges(graph)
    sums = {name: into(graph, name, bounds).shifted(STATE_SHIFT) for name in graph.nodes_of(LIF)}
    return {name: x for name, x in sums.items() if x.low < least or x.high >= -least}
