"""What a target did, held against the definition: every difference, and which of them it waives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from conformance.cases import Case
from conformance.counting import events
from conformance.targets import Outcome, Tried
from conformance.waivers import Waiver
from spikeport.costs.events import derive
from spikeport.findings import Finding, SpikeportError
from spikeport.graph import Loihi, Synapse, definition
from spikeport.graph.inputs import holds
from spikeport.graph.loihi import WRAPPED
from spikeport.record import Record


@dataclass(frozen=True)
class Difference:
    """One thing that a target does otherwise than the definition."""

    case: str
    what: str  #: outputs, spikes, spike counts, membranes, events, derived events, overflows, findings, refusal, run
    where: str  #: node
    detail: str


@dataclass
class Verdict:
    """What came of all cases."""

    agreed: int = 0  #: run, and everything as the definition says, or waived
    refused: dict[str, int] = field(default_factory=dict)  #: cases by the code of their first error
    differences: list[Difference] = field(default_factory=list)
    waived: dict[Waiver, int] = field(default_factory=dict)  #: how many differences each excused

    def add(self, case: Case, tried: Tried, waivers: Iterable[Waiver]) -> None:
        """Judge one case."""
        errors = [finding for finding in tried.findings if finding.severity == "error"]
        mine = list(refusal(case, errors, tried.outcome) if errors else differences(case, tried))
        for difference in mine:
            excuse = next((w for w in waivers if w.excuses(difference.what, difference.where, case, tried)), None)
            if excuse:
                self.waived[excuse] = self.waived.get(excuse, 0) + 1
            else:
                self.differences.append(difference)
        if errors:
            self.refused[errors[0].code] = self.refused.get(errors[0].code, 0) + 1
        else:
            self.agreed += not isinstance(tried.outcome, SpikeportError)


def refusal(case: Case, errors: list[Finding], outcome: Outcome | None) -> Iterator[Difference]:
    """What is wrong with a refusal: a finding that says not why and what to do, or a run all the same."""
    for finding in errors:
        if not (finding.what and (finding.mend or finding.why)):
            yield Difference(case.name, "refusal", finding.where, f"{finding.code} says not what to do: {finding.what}")
    if outcome is not None and not isinstance(outcome, SpikeportError):
        yield Difference(case.name, "refusal", "", f"runs what check refuses with {errors[0].code}")


def differences(case: Case, tried: Tried) -> Iterator[Difference]:
    """Everything in which a run that `check` accepts is not what the definition says."""
    truth, record = case.truth, tried.outcome
    if isinstance(truth, SpikeportError) or not isinstance(record, Record):
        codes = [each.code if isinstance(each, SpikeportError) else "" for each in (truth, record)]
        if codes[0] != codes[1]:
            detail = f"{record}" if codes[1] else f"runs, though the definition raises {codes[0]}"
            yield Difference(case.name, "run", "", detail)
        return
    for what, where, detail in (
        *arrays(case, truth, record),
        *counted(case, truth, record, tried),
        *said(case, truth, record, tried),
    ):
        yield Difference(case.name, what, where, detail)


Found = tuple[str, str, str]


def arrays(case: Case, truth: definition.Run, record: Record) -> Iterator[Found]:
    """Outputs, spikes and membranes."""
    if not np.array_equal(record.outputs, truth.outputs):
        yield "outputs", "", unequal(record.outputs, truth.outputs)
    if list(record.further) != list(truth.further):
        yield "outputs", "", f"has {list(record.further)} instead of {list(truth.further)}"
    for name, output in truth.further.items():
        if name in record.further and not np.array_equal(record.further[name], output):
            yield "outputs", name, unequal(record.further[name], output)
    for name, membranes in truth.after.items():
        spikes = truth.values[name]
        train = record.trains[name].unpack() if name in record.trains else None
        if train is None or not np.array_equal(train, spikes):
            yield "spikes", name, "absent" if train is None else unequal(train, spikes)
        if not np.array_equal(record.spike_counts[name], spikes.reshape(len(spikes), -1).sum(1)):
            yield "spike counts", name, f"{record.spike_counts[name]}"
        if record.neurons[name] != spikes[0, 0].size:
            yield "spike counts", name, f"{record.neurons[name]} neurons"
        after = record.membranes.get(name)
        if after is None or not np.array_equal(after, membranes):
            yield "membranes", name, "absent" if after is None else unequal(after, membranes)


def counted(case: Case, truth: definition.Run, record: Record, tried: Tried) -> Iterator[Found]:
    """Events, of the record and as `costs.events` derives them, and overflows."""
    expected = events(case.graph, truth)
    bare = Record("", record.outputs, record.neurons, record.spike_counts, record.trains)
    derived = derive(case.graph, case.samples, bare) if len(record.trains) == len(truth.after) else bare
    for name, counts in expected.items():
        if name not in record.events:
            yield "events", name, "absent"
        for what, mine in (("events", record.events), ("derived events", derived.events)):
            for key, value in counts.items() if name in mine else ():
                if not np.array_equal(getattr(mine[name], key), value):
                    yield what, name, f"{key} {getattr(mine[name], key)} instead of {value}"
    yield from overflowing(truth.overflows, record.overflows)


def overflowing(expected: Mapping[str, Mapping[str, int]], mine: Mapping[str, Mapping[str, int]]) -> Iterator[Found]:
    for name in sorted({*expected, *mine}):
        if dict(expected.get(name, {})) != dict(mine.get(name, {})):
            yield "overflows", name, f"{dict(mine.get(name, {}))} instead of {dict(expected.get(name, {}))}"


def said(case: Case, truth: definition.Run, record: Record, tried: Tried) -> Iterator[Found]:
    """That the record repeats what `check` said, and that `check` said what then happened."""
    for finding in tried.findings:
        if finding not in record.findings:
            yield "findings", finding.where, f"the record does not repeat {finding.code}"
    places = {(finding.code, finding.where) for finding in tried.findings}
    for name, kinds in truth.overflows.items():
        if WRAPPED in kinds and ("SP123", f"node {name!r}") not in places:
            yield "findings", name, "an accumulator wraps, and check says no SP123"
    if not isinstance(case.graph.arithmetic, Loihi):
        return
    bits = case.graph.arithmetic.profile.message_bits
    for name in case.graph.nodes_of(Synapse):
        x = sum(truth.values[source] for source in case.graph.sources(name))
        low, high = holds(bits, float(x.min()))
        wide = x.min() < low or x.max() > high
        if wide and not places & {(code, f"node {name!r}") for code in ("SP513", "SP603")}:
            yield "findings", name, f"values of {x.min():g} ... {x.max():g} enter as one message, and no SP513"


def unequal(mine: np.ndarray, expected: np.ndarray) -> str:
    if mine.shape != expected.shape:
        return f"has shape {mine.shape} instead of {expected.shape}"
    place = tuple(int(i) for i in np.argwhere(mine != expected)[0])
    return (
        f"{int((mine != expected).sum())} of {mine.size} differ, first at {place}: {mine[place]} for {expected[place]}"
    )


def judge(cases: list[Case], tried: list[Tried], waivers: Iterable[Waiver], verdict: Verdict | None = None) -> Verdict:
    """All cases that a target tried."""
    verdict = verdict or Verdict()
    for case, each in zip(cases, tried, strict=True):
        verdict.add(case, each, waivers)
    return verdict
