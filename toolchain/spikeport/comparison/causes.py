"""Why two versions of a network part: one cause at a time is switched from A's to B's, and the spikes are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikeport.comparison.kinds import (
    BIAS,
    DECAY,
    INPUT,
    ROUNDING,
    SATURATION,
    TARGET,
    THRESHOLDS,
    TRUNCATION,
    WEIGHTS,
    WRAP,
    Kind,
    advised,
)
from spikeport.comparison.parity import parity
from spikeport.comparison.switches import SWITCHES, differences, how
from spikeport.comparison.units import as_written, entering_unit, in_units_of, inclusive, snapped
from spikeport.findings import require
from spikeport.graph import Array, Graph, Loihi, Real, Synapse
from spikeport.graph.loihi import BEYOND, SATURATED, WRAPPED
from spikeport.graph.work import multiply_adds
from spikeport.quantisation.collapse_schedule import collapse_schedule
from spikeport.record import Record
from spikeport.target import Request

Run = Callable[[Graph, Array, Request], Record]

TRAINS = Request(trains=True)
MOST = 256  #: samples on which causes are looked for, a dozen runs of them
FEWEST = 16
WORK = 1 << 37  #: multiply-adds of float64 in a run, some seconds of a few cores: large networks run fewer samples
WIDE = 48  #: bits of a membrane that cannot saturate: 24 bits more than the format has


@dataclass(frozen=True)
class Cause:
    """What one difference does alone: A runs with this and nothing else as B has it."""

    name: str
    title: str
    mismatches: int  #: spikes that the switch alone changes
    share: float  #: of the mismatches of all causes together, between 0 and 1
    explained: float | None  #: of the mismatches between A and B, how many go when A takes this from B; <= 1
    accuracy: float | None  #: change of accuracy by the switch alone, a difference of shares; None without labels
    layers: dict[str, int]  #: mismatches by layer
    advice: str
    samples: int  #: of the run, the first: on so many it was counted


def enough(graph: Graph) -> int:
    """On how many samples causes of a network's differences are counted: `MOST`, of a large one fewer."""
    one = graph.timesteps * sum(multiply_adds(graph).values())
    return max(FEWEST, min(MOST, WORK // max(1, one)))


@dataclass(frozen=True)
class _Effect:
    """Two runs that differ by one cause."""

    kind: Kind
    before: Record
    after: Record

    @property
    def mismatches(self) -> int:
        """Spikes that the cause changes."""
        return parity(self.after, self.before).spike_mismatches


def causes(
    a: Graph,
    b: Graph,
    samples: Array,
    run: Run,
    *,
    labels: Array | None = None,
    a_record: Record | None = None,
    b_record: Record | None = None,
) -> list[Cause]:
    """Every difference between A and B that moves a spike or an answer, the one with most mismatches first.

    ``a`` and ``b`` have the same nodes (B may have more delays): pass what B was quantised from, prepared by
    `spikeport.quantisation.prepare`. ``run`` executes a graph (`spikeport.engine.simulate`). ``a_record`` and
    ``b_record`` are the runs to explain, with spike trains, where they come from other targets.

    A quantiser moves biases, thresholds and decays to make up for rounded weights; such moves count with the weights.
    Causes act together, so the shares of single switches need not add up to what B does; ``explained`` says for each
    how much nearer A comes to B by it. Raises SP805 where A and B are no versions of one network, SP121 for no samples.
    """
    require(samples.size > 0, "SP121", "there is no sample", mend="pass at least one")
    for graph in (a, b):
        what = f"a comparison by causes knows real numbers and Loihi's integers, not {graph.arithmetic.kind!r}"
        require(isinstance(graph.arithmetic, Real | Loihi), "SP125", what, mend="compare the two records")
    differences(a, b)
    if a_record is not None and b_record is not None and _equal(a_record, b_record):
        return []
    unit = entering_unit(b)
    base, view = in_units_of(a, b), as_written(b)
    if how(b) == "bias":
        base, _ = collapse_schedule(base, "bias")  # A in other words
    if isinstance(b.arithmetic, Loihi):
        base = snapped(base, view)
        view = inclusive(view, base)
    entering = np.asarray(samples, dtype=np.float64) / unit
    ours = run(base, entering, TRAINS)
    theirs = run(b, samples, TRAINS) if b_record is None else b_record
    effects = list(_switched(base, view, entering, ours, run))
    effects += _rounded_input(b, base, entering, ours, run)
    if isinstance(b.arithmetic, Loihi):
        effects += _integers(a, b, view, samples, run, theirs)
        if isinstance(a.arithmetic, Loihi) and a_record is not None:
            effects.append(_Effect(TARGET, run(a, samples, TRAINS), a_record))
    if not isinstance(a.arithmetic, Loihi):
        own = run(a, samples, TRAINS) if a_record is None else a_record
        effects += _floats(b, base, view, ours, own, theirs, lambda graph: run(graph, entering, TRAINS))
    if isinstance(b.arithmetic, Loihi):
        profile, full = b.arithmetic.profile, _has_all_bits(b)
        effects = [replace(effect, kind=advised(effect.kind, profile, all_bits=full)) for effect in effects]
    return _ranked(effects, ours, theirs, labels)


def _switched(base: Graph, view: Graph, entering: Array, ours: Record, run: Run) -> Iterator[_Effect]:
    """A with each kind of parameter as B has it."""
    effects = {}
    for kind, switch in SWITCHES.items():
        switched = switch(base, view)
        if switched != base:
            effects[kind] = _Effect(kind, ours, run(switched, entering, TRAINS))
    if WEIGHTS in effects:
        _absorb(effects, base, view, lambda graph: run(graph, entering, TRAINS))
    yield from effects.values()


def _absorb(effects: dict[Kind, _Effect], base: Graph, view: Graph, run: Callable[[Graph], Record]) -> None:
    """Count with the weights whatever makes up for their rounding: together they change fewer spikes than alone."""
    switched = SWITCHES[WEIGHTS](base, view)
    makes_up = []
    for kind in (BIAS, THRESHOLDS, DECAY):
        if kind in effects:
            more = SWITCHES[kind](switched, view)
            effect = _Effect(WEIGHTS, effects[WEIGHTS].before, run(more))
            if effect.mismatches < effects[WEIGHTS].mismatches:
                switched, effects[WEIGHTS] = more, effect
                makes_up.append(effects.pop(kind).kind.name)
    if makes_up:
        title = f"{WEIGHTS.title}, with {' and '.join(makes_up)} that make up for it"
        effects[WEIGHTS] = replace(effects[WEIGHTS], kind=replace(WEIGHTS, title=title))


def _rounded_input(b: Graph, base: Graph, entering: Array, ours: Record, run: Run) -> list[_Effect]:
    whole = np.rint(entering)
    if not isinstance(b.arithmetic, Loihi) or np.array_equal(whole, entering):
        return []
    return [_Effect(INPUT, ours, run(base, whole, TRAINS))]


def _floats(
    b: Graph, base: Graph, view: Graph, ours: Record, own: Record, theirs: Record, run: Callable[[Graph], Record]
) -> Iterator[_Effect]:
    """What floating point did: where both have the same real numbers, between A and B; else to each beside float64."""
    if base == view and not isinstance(b.arithmetic, Loihi):
        yield _Effect(ROUNDING, own, theirs)
        return
    yield _Effect(ROUNDING, ours, own)
    if not isinstance(b.arithmetic, Loihi):
        yield _Effect(ROUNDING, run(view), theirs)


def _has_all_bits(graph: Graph) -> bool:
    """Whether each synapse has a mantissa that seven bits would not hold."""
    return all(np.abs(node.weight).max(initial=0) >= 64 for node in graph.nodes_of(Synapse).values())


def _equal(a: Record, b: Record) -> bool:
    """Whether two runs have every spike and every answer in common: then there is nothing to explain."""
    agreement = parity(a, b)
    return agreement.exact and agreement.argmax_agreement in (None, 1)


def _integers(a: Graph, b: Graph, view: Graph, samples: Array, run: Run, theirs: Record) -> Iterator[_Effect]:
    """What parameters cannot explain: B's numbers in exact arithmetic against what integers made of them.

    Where A runs in integers too, both truncate, and that parts them no more than it does exact arithmetic from either.
    """
    assert isinstance(b.arithmetic, Loihi)
    whole = np.rint(np.asarray(samples, dtype=np.float64) / entering_unit(b))
    exact, own = run(view, whole, TRAINS), run(b, samples, TRAINS)
    free, profile = own, b.arithmetic.profile
    for cause, counted, wide in (
        (WRAP, {WRAPPED}, {"accumulator_bits": None}),
        (SATURATION, {SATURATED, BEYOND}, {"state_bits": WIDE}),
    ):
        if any(counted.intersection(kinds) for kinds in free.overflows.values()):
            profile, before = replace(profile, **wide), free
            free = run(b.with_(arithmetic=Loihi(profile)), samples, TRAINS)
            yield _Effect(cause, free, before)
    if not isinstance(a.arithmetic, Loihi):
        yield _Effect(TRUNCATION, exact, free)
    yield _Effect(TARGET, own, theirs)


def _ranked(effects: list[_Effect], ours: Record, theirs: Record, labels: Array | None) -> list[Cause]:
    apart = parity(ours, theirs).spike_mismatches
    by_kind: dict[Kind, Cause] = {}
    for effect in effects:
        pair = parity(effect.after, effect.before)
        accuracy = None
        if labels is not None:
            accuracy = effect.after.accuracy(labels) - effect.before.accuracy(labels)
        if not pair.spike_mismatches and not accuracy and pair.argmax_agreement in (None, 1):
            continue
        explained = None
        if apart and effect.before is ours:
            explained = 1 - parity(effect.after, theirs).spike_mismatches / apart
        layers = {name: sum(counts) for name, counts in pair.by_layer.items()}
        kind, before = effect.kind, by_kind.get(effect.kind)
        count = pair.spike_mismatches + (before.mismatches if before else 0)
        by_kind[kind] = Cause(kind.name, kind.title, count, 0.0, explained, accuracy, layers, kind.advice, ours.samples)
    total = sum(cause.mismatches for cause in by_kind.values())
    shared = [replace(cause, share=cause.mismatches / total if total else 0.0) for cause in by_kind.values()]
    return sorted(shared, key=lambda cause: (-cause.mismatches, -abs(cause.accuracy or 0.0)))
