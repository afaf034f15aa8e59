"""What a result that has an axis of time is read out as: spikes are counted, of anything else the mean is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spikeport.graph import LIF, Delay, Operation, Peak
from spikeport.tracing.draft import Draft
from spikeport.tracing.symbols import Out, Steps, Symbol
from spikeport.tracing.waiting import Waiting

MEAN = "has a value at each timestep that is no count of spikes, and is read out as its mean over"


def is_train(draft: Draft, known: Symbol | Steps) -> bool:
    """Whether it is the spikes of neurons over time, or a sum of such.

    So it is wherever else they lead to, how late they come, and where among the features they were put.
    """
    steps = [step for step in known.steps if step is not None] if isinstance(known, Steps) else [known]
    factors = [factor for step in steps for factor in step.factors()]
    timed = isinstance(known, Steps) or known.timed
    return (
        timed
        and bool(factors)
        and not any(step.constant.any() for step in steps)
        and all(isinstance(factor, Out) and _sends_spikes(draft, factor.node) for factor in factors)
    )


def share(draft: Draft, known: Symbol | Steps, timesteps: int) -> float:
    """What each step of it counts."""
    return 1.0 if is_train(draft, known) else 1 / timesteps


def words(draft: Draft, results: Mapping[int | str, Symbol | Steps], timesteps: int) -> list[str]:
    """What the graph's notes say of results of which the mean is taken."""
    timed = {key: known for key, known in results.items() if isinstance(known, Steps) or known.timed}
    means = [repr(key) for key, known in timed.items() if not is_train(draft, known)]
    if timesteps == 1 or not means:
        return []
    which = f" ({', '.join(means)})" if len(results) > 1 else ""
    other = "where another reading is meant, return that: a sum, the highest or the last value"
    return [f"a result{which} {MEAN} the {timesteps} steps; {other}"]


def told_of(notes: Iterable[str]) -> list[str]:
    """Those of a graph's notes that say so."""
    return [note for note in notes if MEAN in note]


def _sends_spikes(draft: Draft, name: str) -> bool:
    node = draft.nodes[name]
    if isinstance(node, Delay) or (isinstance(node, Operation) and node.moves):
        sources = [a for a, b in draft.edges if b == name]
        return bool(sources) and all(_sends_spikes(draft, source) for source in sources)
    return (isinstance(node, LIF) and not isinstance(node, Peak)) or (isinstance(node, Waiting) and not node.analog)
