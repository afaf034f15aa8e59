"""Sums that a neuron's accumulator or its current may not hold, said before a run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from spikeport.findings import Finding
from spikeport.graph.bounds import Number, Range
from spikeport.graph.graph import Graph
from spikeport.graph.loihi import Loihi
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.profile import DECAY_ONE, STATE_SHIFT, Profile
from spikeport.graph.ranges import into, ranges

#: of a current, in two's complement (Lava 0.10, proc/lif/models.py; nengo-loihi 1.1, builder/discretize.py: U_BITS and
#: a sign)
CURRENT_BITS = 24


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


def worst_current(node: LIF, x: Range, profile: Profile) -> Number:
    """The largest size of what enters a membrane in one step, in its unit, for sums in ``x``.

    A current that decays by d holds up to 1 + d + d**2 + ... sums of all steps; others hold those of one.
    """
    least, size = profile.accumulator_least, x.shifted(STATE_SHIFT).size
    size = size if least is None else min(size, -least)
    if not isinstance(node, CubaLIF):
        return size
    kept = float(node.current_decay.max()) / DECAY_ONE
    total = size * sum(kept**step for step in range(node.timesteps))
    return total if math.isinf(total) else math.ceil(total)


def wide_currents(graph: Graph) -> Iterator[Finding]:
    """SP644 for each layer whose synaptic current could pass what Loihi's hold, which no field of a profile says."""
    if not isinstance(graph.arithmetic, Loihi) or graph.arithmetic.profile.neuron != "loihi":
        return
    bounds = ranges(graph)
    for name, node in graph.nodes_of(CubaLIF).items():
        most = worst_current(node, into(graph, name, bounds), graph.arithmetic.profile)
        if most >= 2 ** (CURRENT_BITS - 1):
            yield Finding(
                "SP644",
                f"its current may reach {most:.3g} membrane units, Lava and nengo-loihi wrap it at "
                f"{2 ** (CURRENT_BITS - 1):,} ({CURRENT_BITS} bits)",
                where=f"node {name!r}",
                why="the engine carries such a current on and counts it: where it counts none, nothing wrapped.",
                mend="nothing where the record counts none, or smaller exponents or weights before it",
                severity="note",
            )
