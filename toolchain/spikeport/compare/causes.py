"""Why two versions of a network part: one cause at a time is switched from A's to B's, and the spikes are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from spikeport.compare.kinds import BIAS, INPUT, ROUNDING, SATURATION, TARGET, TRUNCATION, WEIGHTS, Kind
from spikeport.compare.parity import parity
from spikeport.compare.switches import SWITCHES, biases, differences, weights
from spikeport.compare.units import as_written, entering_unit, in_units_of, inclusive, snapped
from spikeport.findings import require
from spikeport.graph import Array, Graph, Loihi
from spikeport.record import Record
from spikeport.targets import Request

Run = Callable[[Graph, Array, Request], Record]

TRAINS = Request(trains=True)
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

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


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
    `spikeport.passes.quantize.prepare`. ``run`` executes a graph (`spikeport.engine.simulate`). ``a_record`` and
    ``b_record`` are the runs to explain, with spike trains, where they come from other targets.

    A quantiser corrects biases for the mean error of rounded weights; such biases count with the weights.
    Causes act together, so the shares of single switches need not add up to what B does; ``explained`` says for each
    how much nearer A comes to B by it. Raises SP805 where A and B are no versions of one network, SP121 for no samples.
    """
    require(samples.size > 0, "SP121", "there is no sample", mend="pass at least one")
    differences(a, b)
    unit = entering_unit(b)
    base, view = in_units_of(a, b), as_written(b)
    if isinstance(b.arithmetic, Loihi):
        base = snapped(base, view)
        view = inclusive(view, base)
    entering = np.asarray(samples, dtype=np.float64) / unit
    ours = run(base, entering, TRAINS)
    theirs = run(b, samples, TRAINS) if b_record is None else b_record
    effects = list(_switched(base, view, entering, ours, run))
    effects += _rounded_input(b, base, entering, ours, run)
    effects += _arithmetic(a, b, samples, view, run, ours if a_record is None else a_record, base, theirs)
    return _ranked(effects, ours, theirs, labels)


def _switched(base: Graph, view: Graph, entering: Array, ours: Record, run: Run) -> Iterator[_Effect]:
    """A with each kind of parameter as B has it, the biases together with the weights where they make up for them."""
    found = {}
    for kind, switch in SWITCHES.items():
        switched = switch(base, view)
        if switched != base:
            found[kind] = _Effect(kind, ours, run(switched, entering, TRAINS))
    if WEIGHTS in found and BIAS in found:
        both = _Effect(WEIGHTS, ours, run(biases(weights(base, view), view), entering, TRAINS))
        if both.mismatches < found[WEIGHTS].mismatches:
            found[WEIGHTS] = both
            del found[BIAS]
    yield from found.values()


def _rounded_input(b: Graph, base: Graph, entering: Array, ours: Record, run: Run) -> list[_Effect]:
    whole = np.rint(entering)
    if not isinstance(b.arithmetic, Loihi) or np.array_equal(whole, entering):
        return []
    return [_Effect(INPUT, ours, run(base, whole, TRAINS))]


def _arithmetic(
    a: Graph, b: Graph, samples: Array, view: Graph, run: Run, a_record: Record, base: Graph, theirs: Record
) -> Iterator[_Effect]:
    """What parameters cannot explain: B's numbers in exact arithmetic against what its own arithmetic made of them."""
    unit = entering_unit(b)
    entering = np.asarray(samples, dtype=np.float64) / unit
    if not isinstance(a.arithmetic, Loihi):
        narrow = run(a, samples, TRAINS) if a_record.target == "reference" else a_record
        yield _Effect(ROUNDING, run(base, entering, TRAINS), narrow)
    if not isinstance(b.arithmetic, Loihi):
        yield _Effect(ROUNDING, run(view, entering, TRAINS), theirs)
        return
    exact = run(view, np.rint(entering), TRAINS)
    own = run(b, samples, TRAINS)
    wide = own
    if own.overflows:
        wide = run(b.with_(arithmetic=Loihi(replace(b.arithmetic.profile, state_bits=WIDE))), samples, TRAINS)
        yield _Effect(SATURATION, wide, own)
    yield _Effect(TRUNCATION, exact, wide)
    yield _Effect(TARGET, own, theirs)


def _ranked(effects: list[_Effect], ours: Record, theirs: Record, labels: Array | None) -> list[Cause]:
    apart = parity(ours, theirs).spike_mismatches
    found: dict[Kind, Cause] = {}
    for effect in effects:
        pair = parity(effect.after, effect.before)
        accuracy = None
        if labels is not None:
            accuracy = effect.after.accuracy(labels) - effect.before.accuracy(labels)
        if not pair.spike_mismatches and not accuracy and pair.argmax_agreement == 1:
            continue
        explained = None
        if apart and effect.before is ours:
            explained = 1 - parity(effect.after, theirs).spike_mismatches / apart
        layers = {name: sum(counts) for name, counts in pair.by_layer.items()}
        kind, before = effect.kind, found.get(effect.kind)
        count = pair.spike_mismatches + (before.mismatches if before else 0)
        found[kind] = Cause(kind.name, kind.title, count, 0.0, explained, accuracy, layers, kind.advice)
    total = sum(cause.mismatches for cause in found.values())
    shared = [replace(cause, share=cause.mismatches / total if total else 0.0) for cause in found.values()]
    return sorted(shared, key=lambda cause: (-cause.mismatches, -abs(cause.accuracy or 0.0)))
