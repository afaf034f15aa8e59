"""Everything that a comparison of two runs found, and the gates that it may be held to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import numpy as np

from spikeport.comparison.causes import Cause
from spikeport.comparison.divergence import Divergence, first_divergence
from spikeport.comparison.intervals import Share, lost, share
from spikeport.comparison.mcnemar import mcnemar
from spikeport.comparison.parity import Margins, Parity, answers, parity, parted, same_choice
from spikeport.files import plain
from spikeport.findings import Finding, fail
from spikeport.graph import Array, Graph
from spikeport.record import Record
from spikeport.told import Told


@dataclass(frozen=True, repr=False)
class Comparison(Told):
    """What comparing A with B found. Shares and rates are between 0 and 1; mismatches are exact counts."""

    a: str  #: as the user named it
    b: str
    parity: Parity
    samples_apart: tuple[int, ...]  #: samples on which they choose differently, from 0
    firing_rates: dict[str, dict[str, list[float]]]  #: "a" and "b" -> layer -> one a timestep
    membrane_error: dict[str, list[float]]  #: largest |A - B| after the reset, layer -> one a timestep, where known
    first: Divergence | None
    accuracy: dict[str, Share] | None = None  #: "a" and "b"; None without labels
    p_value: float | None = None  #: McNemar's exact test that both are equally often right; None without labels
    causes: tuple[Cause, ...] | None = None  #: None where they were not looked for
    why_not: str = ""  #: why causes were not looked for
    findings: tuple[Finding, ...] = ()
    gates: Mapping[str, float] = field(default_factory=dict)  #: what was asked for: a count, or shares
    failed: tuple[Finding, ...] = ()  #: the gates that were asked for and are not met
    records: tuple[Record, ...] = field(default=(), repr=False)  #: A's and B's, for a report
    graph: Graph | None = field(default=None, repr=False)  #: B's network, or A's where B is a record
    quantised: str = ""  #: the name of the side that runs in integers, where the other runs in real numbers

    @property
    def accuracy_drop(self) -> float | None:
        """By how much B is less often right than A, a difference of shares."""
        return None if self.accuracy is None else lost(self.accuracy["a"].value, self.accuracy["b"].value)

    @property
    def counted_on(self) -> str:
        """On which samples the causes were counted, in words, where these are not all."""
        count = min((cause.samples for cause in self.causes or ()), default=self.parity.samples)
        return f" on the first {count} samples" if count < self.parity.samples else ""

    def failures(
        self,
        max_spike_mismatch: int | None = None,
        max_accuracy_drop: float | None = None,
        min_agreement: float | None = None,
    ) -> Iterator[Finding]:
        """The gates that are not met, as SP810 to SP813: mismatches (a count), accuracy and agreement (shares)."""
        agreement = self.parity
        if max_spike_mismatch is not None and not agreement.spikes_compared:
            yield Finding("SP813", "no spike trains to hold against --max-spike-mismatch")
        elif max_spike_mismatch is not None and agreement.spike_mismatches > max_spike_mismatch:
            yield Finding("SP810", f"{agreement.spike_mismatches} spikes differ, {max_spike_mismatch} are allowed")
        if max_accuracy_drop is not None and self.accuracy_drop is None:
            yield Finding("SP813", "no labels, or no outputs, to hold against --max-accuracy-drop")
        elif max_accuracy_drop is not None and (self.accuracy_drop or 0.0) > max_accuracy_drop:
            yield Finding("SP811", f"accuracy drops by {self.accuracy_drop:.4f}, {max_accuracy_drop:g} is allowed")
        same = agreement.argmax_agreement
        if min_agreement is not None and same is None:
            yield Finding("SP813", "no outputs to hold against --min-agreement")
        elif min_agreement is not None and same is not None and same < min_agreement:
            yield Finding("SP812", f"{same:.4f} agree, {min_agreement:g} is asked for")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "a": self.a,
            "b": self.b,
            **self.parity.as_dict(),
            "samples_apart": list(self.samples_apart),
            "accuracy": plain(self.accuracy),
            "accuracy_drop": self.accuracy_drop,
            "p_value": self.p_value,
            "firing_rate": self.firing_rates,
            "membrane_error": self.membrane_error,
            "first_divergence": plain(self.first),
            "causes": plain(self.causes),
            "why_not": self.why_not,
            "findings": plain(self.findings),
            "quantised": self.quantised,
            "gates": dict(self.gates),
            "failed": plain(self.failed),
        }

    def lines(self) -> Iterator[str]:
        """The comparison in a few sentences."""
        agreement = self.parity
        yield f"{self.a} against {self.b}, {agreement.samples} samples"
        if self.accuracy is not None:
            parts = (f"{s.value:.2%} ({s.low:.2%} ... {s.high:.2%})" for s in self.accuracy.values())
            yield f"accuracy {' and '.join(parts)}; p = {self.p_value:.3g} that they are equally often right (McNemar)"
        if agreement.argmax_agreement is None:
            yield "answers were not compared: a run has no outputs"
        else:
            yield f"same answer on {agreement.argmax_agreement:.2%} of the samples"
        if not agreement.spikes_compared:
            yield "spikes were not compared: a run recorded none"
            return
        yield f"{agreement.spike_mismatches:,} of {agreement.spikes_compared:,} spikes and silences differ"
        above = agreement.mismatches_above_rounding
        if above is None:
            yield "beyond rounding: not known, a network is not here"
        else:
            within, following = agreement.mismatches_by_rounding, agreement.mismatches_following
            yield parted(agreement.spike_mismatches, above, within or 0, following or 0, bool(agreement.uncompared))
        if self.first is not None:
            yield f"first: {self.first}"
        if self.counted_on:
            yield f"causes{self.counted_on}:"
        for cause in self.causes or ():
            yield f"{cause.share:.1%} {cause.title}: {cause.mismatches:,} mismatches alone"
        if self.causes:
            yield self.causes[0].advice
        if self.why_not and agreement.spike_mismatches:  # what is not there has no cause
            yield f"causes: {self.why_not}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        """For notebooks."""
        head, *rest = map(escape, self.lines())
        return f"<p><b>{head}</b></p><ul>{''.join(f'<li>{line}</li>' for line in rest)}</ul>"


def check_shares(**shares: float | None) -> None:
    """Raise SP816 for a gate that is no share between 0 and 1: it could never fail, or never pass."""
    for name, limit in shares.items():
        if limit is not None and not 0 <= limit <= 1:
            flag = f"--{name.replace('_', '-')}"
            fail("SP816", f"{flag} is {limit:g}", mend="give a share between 0 and 1: 0.005 is half a point")


def comparison(
    a: Record,
    b: Record,
    *,
    names: tuple[str, str] = ("A", "B"),
    labels: Array | None = None,
    margins: Margins | None = None,
    graph: Graph | None = None,
    causes: tuple[Cause, ...] | None = None,
    why_not: str = "",
    judged: Literal["a", "b"] = "a",
    exact: bool = False,
    quantised: str = "",
) -> Comparison:
    """Compare two records of the same samples; ``labels`` [B], ``margins`` on the spikes of ``judged``, ``graph`` B's.

    ``exact``: neither run rounds (`parity`). ``quantised`` names the side that alone runs in integers.
    """
    both = answers(a) and answers(b)
    apart = np.flatnonzero(~same_choice(a, b)) if both and a.samples == b.samples else np.zeros(0, dtype=np.int64)
    agreement = parity(a, b, margins, judged=a if judged == "a" else b, exact=exact)
    right = {"a": _right(a, labels), "b": _right(b, labels)} if both and labels is not None else None
    return Comparison(
        a=names[0],
        b=names[1],
        parity=agreement,
        samples_apart=tuple(apart.tolist()),
        firing_rates={
            key: {name: rate.tolist() for name, rate in record.rates().items()} for key, record in (("a", a), ("b", b))
        },
        membrane_error=_membrane_error(a, b),
        first=first_divergence(a, b, graph) if agreement.spike_mismatches else None,
        accuracy=None if right is None else {name: share(hits) for name, hits in right.items()},
        p_value=None if right is None else mcnemar(right["a"], right["b"]),
        causes=causes,
        why_not=why_not,
        findings=tuple(dict.fromkeys((*a.findings, *b.findings))),
        records=(a, b),
        graph=graph,
        quantised=quantised,
    )


def _right(record: Record, labels: Array) -> Array:
    return np.asarray(record.outputs.reshape(record.samples, -1).argmax(1) == labels)


def _membrane_error(a: Record, b: Record) -> dict[str, list[float]]:
    """Only where both are real numbers: integers have another unit."""
    errors = {}
    for name, ours in a.membranes.items():
        theirs = b.membranes.get(name)
        if theirs is not None and ours.dtype.kind == theirs.dtype.kind and ours.shape == theirs.shape:
            difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
            errors[name] = difference.reshape(len(difference), -1).max(1).tolist()
    return errors
