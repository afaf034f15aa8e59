"""How far two records agree: outputs, and every spike of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.graph import Array
from spikeport.record import Record
from spikeport.spike_train import Train


class Judgement(Protocol):
    """What `spikeport.engine.margins` says of one layer; arrays [T, B, *neurons]."""

    @property
    def distance(self) -> Array:
        """Membrane before the reset minus threshold, in the membrane's unit."""

    @property
    def bound(self) -> Array:
        """How far rounding may have moved the distance, >= 0, in the same unit."""

    def decisions(self) -> Array:
        """Whether each neuron fires in exact arithmetic."""


#: of all samples, or of samples ``start`` ... ``stop - 1``, block by block
Margins = Mapping[str, Judgement] | Iterable[tuple[int, int, Mapping[str, Judgement]]]


@dataclass(frozen=True)
class Parity:
    """How far ``a`` agrees with ``b``. Counts are exact; a spike compared is one neuron at one step of one sample."""

    samples: int
    argmax_agreement: float | None  #: share of samples with the same largest output; None where a record has no outputs
    spike_mismatches: int
    spikes_compared: int  #: 0 where a record brought no spike trains: then nothing is said about spikes
    mismatches_above_rounding: int | None  #: those that rounding cannot explain; None where no margins were given
    mismatches_by_rounding: int | None  #: decisions within their rounding bound; None as above
    mismatches_following: int | None  #: right for the spikes that came in, which had flipped before; None as above
    max_abs_output_difference: float | None  #: None where one has integers and the other real numbers
    by_layer: Mapping[str, list[int]]  #: mismatches, layer -> one number a timestep
    neurons: Mapping[str, int]  #: size of each layer compared
    uncompared: tuple[str, ...] = ()  #: layers whose spikes only one record has

    @property
    def exact(self) -> bool:
        """Whether every spike was compared and every one agrees."""
        return self.spikes_compared > 0 and self.spike_mismatches == 0 and not self.uncompared

    def as_dict(self, against: str = "") -> dict[str, Any]:
        """For ``result.json``."""
        plain: dict[str, Any] = {"against": against} if against else {}
        plain |= {
            "samples": self.samples,
            **({} if self.argmax_agreement is None else {"argmax_agreement": self.argmax_agreement}),
            "spike_mismatches": self.spike_mismatches,
            "spikes_compared": self.spikes_compared,
        }
        if self.mismatches_above_rounding is not None:
            plain["mismatches_above_rounding"] = self.mismatches_above_rounding
            plain["mismatches_by_rounding"] = self.mismatches_by_rounding
            plain["mismatches_following"] = self.mismatches_following
        if self.max_abs_output_difference is not None:
            plain["max_abs_logit_difference"] = self.max_abs_output_difference
        plain |= {"by_layer": dict(self.by_layer), "neurons": dict(self.neurons), "uncompared": list(self.uncompared)}
        return plain


def parity(
    a: Record, b: Record, margins: Margins | None = None, *, judged: Record | None = None, exact: bool = False
) -> Parity:
    """Compare ``a`` with ``b``, the same samples in the same order.

    ``margins`` come from `spikeport.engine.margins`: ``margins(graph, samples, judged)``, or block by block of samples.
    Every layer of the one network is run in exact arithmetic on the spikes that ``judged`` (``b`` unless said) sent
    into it, so that one flip is not counted again in all layers behind it. A spike of ``judged`` that contradicts its
    margin by more than the bound is a mismatch above rounding; other mismatches contradict theirs within the bound, or
    follow from earlier flips. Where spikes agree though ``judged`` contradicts its margin, the three are more than the
    mismatches.
    ``exact`` says that neither run may round, as integers do not: every mismatch then counts.

    Raises SP801 for other sample numbers, SP803 for layers of other shape, SP804 where no layer is in both.
    """
    if a.samples != b.samples:
        fail("SP801", f"{a.target} ran {a.samples} samples, {b.target} {b.samples}", mend="run both on the same data")
    common = [name for name in b.trains if name in a.trains]
    if a.trains and b.trains and not common:
        fail(
            "SP804",
            f"no layer is in both: {', '.join(a.trains)} / {', '.join(b.trains)}",
            mend="compare two versions of one network; names are those of the module",
        )
    by_layer = {name: mismatches(a.trains[name], b.trains[name], name) for name in common}
    both_have = bool(a.trains and b.trains)
    apart = sum(int(counts.sum()) for counts in by_layer.values())
    above, within, following = (apart, 0, 0) if exact and both_have else (None, None, None)
    if margins is not None:
        own = b if judged is None else judged
        blocks = [(0, own.samples, margins)] if isinstance(margins, Mapping) else margins
        counts = [(0, 0, 0), *(_explained(a, b, own, *block) for block in blocks)]
        above, within, following = (sum(column) for column in zip(*counts, strict=True))
    return Parity(
        samples=a.samples,
        argmax_agreement=float(np.mean(same_choice(a, b))) if answers(a) and answers(b) else None,
        spike_mismatches=apart,
        spikes_compared=sum(_decisions(a, name) for name in common),
        mismatches_above_rounding=above,
        mismatches_by_rounding=within,
        mismatches_following=following,
        max_abs_output_difference=_output_difference(a, b),
        by_layer={name: counts.tolist() for name, counts in by_layer.items()},
        neurons={name: a.neurons[name] for name in common},
        uncompared=tuple(sorted((set(a.neurons) | set(b.neurons)) - set(common))) if both_have else (),
    )


def parted(
    apart: int, above: int, within: int, following: int, uncompared: bool, number: Callable[[int], str] = "{:,}".format
) -> str:
    """In words what ``apart`` spikes come of. Beyond rounding decisions are counted: one may make up for a flip."""
    same = 0 if uncompared else above + within + following - apart
    made_up = (
        f" ({number(same)} of them where that makes up for an earlier flip, and no spike differs)" if same > 0 else ""
    )
    return (
        f"{number(within)} by rounding, {number(above)} beyond rounding{made_up}, "
        f"{number(following)} follow from earlier flips"
    )


def answers(record: Record) -> bool:
    """Whether a record has outputs: NIRData has none."""
    return record.outputs.size > 0


def _decisions(record: Record, layer: str) -> int:
    """Spikes and silences of a layer: one a step, sample and neuron, as far as each sample goes."""
    steps, samples, *neurons = record.trains[layer].shape
    seen = steps * samples if record.lengths is None else int(record.lengths.sum())
    return seen * int(np.prod(neurons, dtype=np.int64))


def same_choice(a: Record, b: Record) -> NDArray[np.bool_]:
    """[B]: whether both put the same output first (the first one on ties)."""
    pair = [record.outputs.reshape(record.samples, -1).argmax(1) for record in (a, b)]
    return np.asarray(pair[0] == pair[1])


def mismatches(a: Train, b: Train, layer: str = "") -> NDArray[np.int64]:
    """[T]: how many neurons differ in how often they fire, summed over samples. Raises SP803 for other shapes."""
    if a.shape != b.shape:
        fail(
            "SP803",
            f"spikes of shape {list(a.shape)} and {list(b.shape)} [T, B, neurons]",
            where=f"node {layer!r}",
            mend="compare two versions of one network, with the same number of steps",
        )
    return a.apart(b)


def _explained(
    a: Record, b: Record, judged: Record, start: int, stop: int, margins: Mapping[str, Judgement]
) -> tuple[int, int, int]:
    """Of samples ``start`` ... ``stop - 1`` the spikes of ``judged`` that contradict their margin by more than rounding
    can explain; mismatches of ``a`` and ``b`` where it contradicts it within the bound; those where it does not.
    """
    missing = sorted(set(margins) - set(judged.trains))
    if missing:
        fail("SP804", f"margins for {', '.join(missing)}, whose spikes {judged.target} did not record")
    above = within = following = 0
    for name, layer in margins.items():
        spikes = judged.trains[name].cut(start, stop).unpack()
        if spikes.shape != layer.distance.shape:
            fail(
                "SP803",
                f"spikes of shape {list(spikes.shape)}, margins of {list(layer.distance.shape)}",
                where=f"node {name!r}",
                mend="compute the margins from the record that they judge",
            )
        wrong, away = spikes != layer.decisions(), np.abs(layer.distance)
        above += int(np.count_nonzero(wrong & (away > layer.bound)))
        if name in a.trains and name in b.trains:
            apart = a.trains[name].cut(start, stop).unpack() != b.trains[name].cut(start, stop).unpack()
            within += int(np.count_nonzero(apart & wrong & (away <= layer.bound)))
            following += int(np.count_nonzero(apart & ~wrong))
    return above, within, following


def _output_difference(a: Record, b: Record) -> float | None:
    """The largest of all outputs that both have; None where shapes or units differ."""
    pairs = [(a.outputs, b.outputs), *((a.further[name], b.further[name]) for name in a.further if name in b.further)]
    pairs = [pair for pair in pairs if pair[0].size and pair[1].size]
    if not pairs or any(x.shape != y.shape or (x.dtype.kind == "f") != (y.dtype.kind == "f") for x, y in pairs):
        return None
    return max(float(np.abs(x.astype(np.float64) - y.astype(np.float64)).max()) for x, y in pairs)
