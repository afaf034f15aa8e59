"""How one call of a module may be meant: plans, what came of them, and which of them counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import Coding, Graph, Node
from spikeport.tracing.digests import digest
from spikeport.tracing.picks import PARTS
from spikeport.tracing.plan import Plan
from spikeport.tracing.reads import STRAYED
from spikeport.tracing.state import Forward, Reading, folds, hinted
from spikeport.tracing.symbols import SAY_STEPS
from spikeport.tracing.trace import STRANGE
from spikeport.tracing.views import ROWS

READ_AS = "one call of the module was read as"  #: how the note of a guess begins
#: what a finding says where time or batch was probably looked for at the wrong axis
MISREAD = (
    PARTS,
    STRANGE,
    "part of the batch",
    ROWS,
    "over the batch",
    "repeats the batch",
    "before the features",
    "time folded into the batch",
    "convolves over time",
    "another axis than time",
    ", no tensor",  # a sum of no steps
)


@dataclass(frozen=True)
class Drawing:
    """A plan, and the graph that it gives."""

    plan: Plan
    graph: Graph
    read: tuple[Finding, ...] = ()
    timed: bool = True  #: False where time was carried along as a batch would be
    notes: tuple[str, ...] = ()  #: what a second call showed
    frames: bool = False  #: whether the module takes one sample or frames, and runs the same network on both

    def said(self, forward: Forward | None) -> Graph:
        """The graph; its provenance says what was guessed."""
        notes: list[str] = []
        reading = self.plan.reading
        if forward is None or reading.time:
            notes.append(f"{READ_AS} {self.plan.words()}, which is what can be proved")
        if self.frames:
            notes.append('the module takes frames of all timesteps as well: for those say coding="events"')
        if self.plan.inside:
            notes.append("neurons of other libraries were followed line by line")
        notes += [*self.graph.provenance.get("notes", ()), *self.notes]
        provenance = {**self.graph.provenance, **({"notes": notes} if notes else {})}
        return self.graph.with_(provenance=provenance)


def plans(
    module: nn.Module,
    shape: tuple[int, ...],
    steps: int | None,
    forward: Forward | None,
    coding: Coding | None,
    output: int | str | None,
) -> Iterator[Plan]:
    """Every way in which the module may be meant; the ones that its neurons hint at first. Raises SP384."""
    last = len(shape) + 1
    every = [Reading("sample"), Reading("sequence"), Reading("sequence", 1), Reading("sequence", last), Reading("step")]
    every += [Reading("sequence", 1, folded=True)] if folds(module) else []
    hint = hinted(module)
    asked = forward or ("sample" if hint == "sample" else None)  # a Repeat says that time lies inside
    readings = [r for r in dict.fromkeys(every) if asked in (None, r.way)]
    for reading in sorted(readings, key=lambda r: r.way != hint):
        if steps is None and reading.way != "sample":
            continue
        usual: Coding = "events" if reading.way == "sequence" else "direct"
        yield Plan(reading, shape, steps, (coding or usual) if reading.way != "sample" else "direct", output)
    if steps is None and forward in ("sequence", "step"):
        fail("SP384", "the module does not say how many timesteps it runs", mend=SAY_STEPS)


def plans_with_time(asked: Sequence[Plan]) -> list[Plan]:
    """What may be meant where ``input_shape`` holds the timesteps as well: first or last, behind the batch."""
    every = []
    for plan in asked:
        whole, last = plan.shape, len(plan.shape)
        if plan.reading.way != "sample" or last < 2:
            continue
        ways = ((1, whole[0], whole[1:]), (last, whole[-1], whole[:-1]))
        every += [
            replace(plan, reading=Reading("sequence", at), shape=rest, timesteps=count, coding="events", whole=whole)
            for at, count, rest in ways
            if plan.timesteps in (None, count) and count > 1
        ]
    return every


def probe_batch(plan: Plan, *more: int) -> int:
    """A batch size that no other axis of the input has."""
    return next(b for b in (2, 3, 5, 7, 11) if b not in (plan.timesteps, *plan.shape, *more))


def only(drawings: list[Drawing], forward: Forward | None) -> Drawing:
    """The one drawing, or the first of several that are one network. Raises SP330."""
    first = drawings[0]
    others = [d for d in drawings[1:] if not same_network(d.graph, first.graph)]
    if others:
        words = ", ".join(d.plan.words() for d in (first, *others))
        fail(
            "SP330",
            f"one call of the module can be read in several ways, each another network: {words}",
            mend="say which one is meant with forward=, or build the module so that time has one place; with forward= "
            "the shape of a sample has no axis of time",
        )
    return first


def one_a_network(drawings: list[Drawing], coding: Coding | None) -> list[Drawing]:
    """The drawings without those of frames, or of one sample, where a module takes both for the same network.

    Such a module repeats a sample over all timesteps; ``coding`` says which of the two is meant, else it is a sample.
    """
    samples = [d for d in drawings if d.plan.reading.way == "sample"]
    pairs = [(d, s) for d in drawings for s in samples if d is not s and same_network(as_direct(d.graph), s.graph)]
    dropped = [s if coding == "events" else d for d, s in pairs]
    taken = [s for _, s in pairs]
    return [replace(d, frames=any(d is s for s in taken)) for d in drawings if not any(d is x for x in dropped)]


def as_direct(graph: Graph) -> Graph:
    """The graph, whose input is the same at every step."""
    return graph.with_(nodes={**graph.nodes, graph.input: graph.entry.with_(coding="direct")})


def same_network(a: Graph, b: Graph) -> bool:
    """Whether two graphs have the same nodes, numbers and edges."""
    if sorted(a.edges) != sorted(b.edges) or a.timesteps != b.timesteps or set(a.nodes) != set(b.nodes):
        return False
    return all(same_node(a.nodes[name], b.nodes[name]) for name in a.nodes)


def same_node(a: Node, b: Node | None) -> bool:
    """Whether two nodes compute the same, to the bit."""
    return b is not None and digest(a) == digest(b)


def refusal(module: nn.Module, tries: list[Any], forward: Forward | None) -> SpikeportError:
    """The error of the reading that is most likely meant: one that ran, then the one hinted at."""
    hint, folded = forward or hinted(module), folds(module)
    errors = [(plan, error) for plan, error in tries if isinstance(error, SpikeportError)]

    def distance(pair: tuple[Plan, SpikeportError]) -> tuple[bool, bool, bool, bool, bool, int]:
        plan, error = pair
        other = folded and not plan.reading.folded
        return *of_the_reading(error), strayed(error), other, plan.reading.way != hint, len(error.findings)

    return min(errors, key=distance)[1]


def of_the_reading(error: SpikeportError) -> tuple[bool, bool]:
    """Whether the first finding of a refusal, and any, may come of the reading alone: those behind it may follow it."""
    lost = strayed(error)
    misread = [
        each.code in ("SP386", "SP384", "SP310") or (not lost and any(words in each.what for words in MISREAD))
        for each in error.findings
    ]
    return misread[0], any(misread)


def strayed(error: SpikeportError) -> bool:
    """Whether a result was lost, and values left what is followed: which another reading may explain better."""
    return STRAYED in error.findings[0].why
