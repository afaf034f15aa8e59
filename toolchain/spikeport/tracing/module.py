"""`capture`: a PyTorch module becomes a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

import spikeport.tracing.ours  # noqa: F401  (registers spikeport's own neurons)
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import Array, Coding, Graph
from spikeport.passes.fold_norm import fold_norm
from spikeport.tracing.draft import digest
from spikeport.tracing.indexing import PARTS
from spikeport.tracing.registry import foreign
from spikeport.tracing.state import Forward, Reading, hinted
from spikeport.tracing.symbols import DIFFERENT
from spikeport.tracing.trace import Plan, run
from spikeport.tracing.verify import Seen, prove


def capture(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    timesteps: int | None = None,
    forward: Forward | None = None,
    coding: Coding | None = None,
    output: int | str | None = None,
    verify: bool = True,
    fold: bool = True,
) -> Graph:
    """The graph of a module in evaluation mode. ``input_shape`` is one sample's, without time and batch.

    ``forward`` says what one call of the module does: "sample" takes [B, ...] and runs all timesteps inside, "sequence"
    takes all steps, [T, B, ...], [B, T, ...] or [B, ..., T], "step" takes one step [B, ...] and keeps its state for the
    next call. Left out, every reading is tried and the one that can be proved is taken (samples, where a module takes
    samples and frames for one network and ``coding`` does not say "events"); the graph's provenance says which.
    ``timesteps`` is needed where the module does not say it. ``coding`` of a "step" module is "direct" (the same
    input at each step) unless told. ``output`` picks one of several results, by number or key.

    With ``fold`` batch normalisations are folded away. With ``verify`` the graph is run against the module in float64
    on samples that make every layer fire and be silent where that can be reached, and every spike must agree. Names of
    nodes are module paths; hand-written neurons are named by the module that holds their loop.

    Raises SP380 with everything unsupported that the result depends on, SP330 where several readings prove to be
    different networks, and SP381-SP389; the module is left as it was.
    """
    if not isinstance(module, nn.Module):
        fail("SP386", f"{type(module).__name__} is no nn.Module")
    module_is_ready(module)
    steps = timesteps or _timesteps(module)
    plans = list(_plans(module, _sizes(input_shape), steps, forward, coding, output))
    tries = _drawn(module, plans, fold)
    drawings = [drawing for _, drawing in tries if isinstance(drawing, Drawing)]
    drawings = one_a_network([drawing for drawing in drawings if drawing.timed] or drawings, coding)
    if not drawings:
        raise _refusal(module, tries, forward)
    if forward is None and steps is None and all(d.graph.timesteps == 1 for d in drawings):
        fail("SP384", "the module does not say how many timesteps it runs", mend="pass timesteps=T (--timesteps T)")
    if not verify:
        return _only(drawings, forward).said(forward)
    proofs = [_proved(module, drawing, fold) for drawing in drawings]
    graphs = [d for d in proofs if isinstance(d, Drawing)]
    if not graphs:
        raise next(error for error in proofs if isinstance(error, SpikeportError))
    return _only(graphs, forward).said(forward)


@dataclass(frozen=True)
class Drawing:
    """A plan, and the graph that it gives."""

    plan: Plan
    graph: Graph
    read: tuple[Finding, ...] = ()
    timed: bool = True  #: False where time was carried along as a batch would be
    frames: bool = False  #: whether the module takes one sample or frames, and runs the same network on both

    def said(self, forward: Forward | None) -> Graph:
        """The graph; its provenance says what was guessed."""
        notes = []
        reading = self.plan.reading
        if forward is None or reading.time:
            notes.append(f"one call of the module was read as {reading.words()}, which is what can be proved")
        if self.frames:
            notes.append('the module takes frames of all timesteps as well: for those say coding="events"')
        if self.plan.inside:
            notes.append("neurons of other libraries were followed line by line")
        provenance = {**self.graph.provenance, **({"notes": notes} if notes else {})}
        return self.graph.with_(provenance=provenance)


def module_is_ready(module: nn.Module) -> None:
    """Refuse parameters that are NaN, of mixed types, or not made yet."""
    lazy = [name for name, p in module.named_parameters() if nn.parameter.is_lazy(p)]
    if lazy:
        fail(
            "SP386",
            f"parameters are not made yet: {', '.join(lazy[:4])}",
            mend="run the module once on a sample, so that lazy layers learn their shapes",
        )
    if any(torch.isnan(p).any() for p in module.parameters() if p.is_floating_point()):
        fail("SP114", "the module holds parameters that are NaN", mend="the training diverged, or the file is damaged")
    dtypes = {p.dtype for p in module.parameters() if p.is_floating_point()}
    if len(dtypes) > 1 or (dtypes and not dtypes <= {torch.float32, torch.float64}):
        what = f"the module's parameters are {', '.join(sorted(map(str, dtypes)))}"
        fail("SP386", what, mend="convert it to one type first: module.float()")


def _sizes(input_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one sample; samples themselves are a mistake that is easily made."""
    told = getattr(input_shape, "shape", None)
    if told is not None and len(told) > 1:
        fail(
            "SP386",
            f"input_shape is an array of shape {list(told)}, not the shape of one sample",
            mend="pass the shape without time and batch, such as x.shape[2:] of frames or x.shape[1:] of samples",
        )
    sizes = tuple(input_shape)
    whole = all(isinstance(size, int | np.integer) and size > 0 for size in sizes)
    if not whole:
        fail("SP386", f"input_shape is {sizes}", mend="pass whole numbers above zero, such as (1, 28, 28)")
    return tuple(int(size) for size in sizes)


def _plans(
    module: nn.Module,
    shape: tuple[int, ...],
    steps: int | None,
    forward: Forward | None,
    coding: Coding | None,
    output: int | str | None,
) -> Any:
    """Every way in which the module may be meant; the ones that its neurons hint at first."""
    last = len(shape) + 1
    every = [Reading("sample"), Reading("sequence"), Reading("sequence", 1), Reading("sequence", last), Reading("step")]
    hint = hinted(module)
    asked = forward or ("sample" if hint == "sample" else None)  # a Repeat says that time lies inside
    readings = [r for r in dict.fromkeys(every) if asked in (None, r.way)]
    for reading in sorted(readings, key=lambda r: r.way != hint):
        if steps is None and reading.way != "sample":
            continue
        usual: Coding = "events" if reading.way == "sequence" else "direct"
        yield Plan(reading, shape, steps, (coding or usual) if reading.way != "sample" else "direct", output)
    if steps is None and forward in ("sequence", "step"):
        fail("SP384", "the module does not say how many timesteps it runs", mend="pass timesteps=T (--timesteps T)")


def probe_batch(plan: Plan, *more: int) -> int:
    """A batch size that no other axis of the input has."""
    return next(b for b in (2, 3, 5, 7, 11) if b not in (plan.timesteps, *plan.shape, *more))


def _drawn(module: nn.Module, plans: list[Plan], fold: bool) -> list[tuple[Plan, Drawing | SpikeportError]]:
    """The graph of each reading, or why there is none; of what is inside libraries' neurons where all are refused."""
    tries = [(plan, _tried(module, plan, fold)) for plan in plans]
    if not any(isinstance(drawn, Drawing) and drawn.timed for _, drawn in tries) and foreign(module):
        inner = [(plan, _tried(module, replace(plan, inside=True), fold)) for plan in plans]
        tries = [
            other if isinstance(other[1], Drawing) and other[1].timed else one
            for one, other in zip(tries, inner, strict=True)
        ]
    return tries


def _tried(module: nn.Module, plan: Plan, fold: bool) -> Drawing | SpikeportError:
    try:
        return draw(module, plan, fold)
    except SpikeportError as error:
        return error


def draw(module: nn.Module, plan: Plan, fold: bool) -> Drawing:
    """The graph as drawn, in the float type of the module's parameters."""
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    lead = (plan.timesteps or 1, probe_batch(plan)) if plan.coding == "events" else (probe_batch(plan),)
    samples = torch.randn(*lead, *plan.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    followed = run(module, samples, plan)
    graph = fold_norm(followed.graph) if fold else followed.graph
    return Drawing(plan, graph, followed.read, followed.timed)


def _proved(module: nn.Module, drawing: Drawing, fold: bool) -> Drawing | SpikeportError:
    def again(of: nn.Module, plan: Plan, samples: Array) -> Seen:
        followed = run(of, torch.as_tensor(samples), plan)
        graph = fold_norm(followed.graph) if fold else followed.graph
        return Seen(plan, graph, samples, followed.record(graph))

    try:
        return replace(drawing, graph=prove(module, drawing.graph, drawing.plan, again, drawing.read))
    except SpikeportError as error:
        return error


def _only(drawings: list[Drawing], forward: Forward | None) -> Drawing:
    """The one drawing, or the first of several that are one network. Raises SP330."""
    first = drawings[0]
    others = [d for d in drawings[1:] if not same_network(d.graph, first.graph)]
    if others:
        words = ", ".join(d.plan.reading.words() for d in (first, *others))
        fail(
            "SP330",
            f"one call of the module can be read in several ways, each another network: {words}",
            mend="say which one is meant with forward=, or build the module so that time has one place",
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
    return all(digest(a.nodes[name]) == digest(b.nodes[name]) for name in a.nodes)


def _refusal(module: nn.Module, tries: list[Any], forward: Forward | None) -> SpikeportError:
    """The error of the reading that is most likely meant: the one hinted at, else the one that came farthest."""
    hint = forward or hinted(module)
    errors = [(plan, error) for plan, error in tries if isinstance(error, SpikeportError)]

    def distance(pair: tuple[Plan, SpikeportError]) -> tuple[bool, bool, bool, int]:
        plan, error = pair
        misread = any("batch" in f.what or "another axis than time" in f.what for f in error.findings)
        return plan.reading.way != hint, error.code in ("SP386", "SP384"), misread, len(error.findings)

    plan, error = min(errors, key=distance)
    selects = any(what in finding.what for finding in error.findings for what in (PARTS, DIFFERENT))
    if not selects or plan.reading.way != "sample" or plan.shape[0] not in (plan.timesteps, None):
        return error
    mend = f"input_shape is one sample's, without time: give {plan.shape[1:]} and timesteps={plan.shape[0]}"
    return SpikeportError(replace(finding, mend=mend) for finding in error.findings)


def _timesteps(module: nn.Module) -> int | None:
    numbers = {int(n) for part in module.modules() if isinstance(n := getattr(part, "timesteps", None), int)}
    if len(numbers) > 1:
        fail(
            "SP384", f"the module's parts run {sorted(numbers)} timesteps", mend="build it with one number of timesteps"
        )
    return numbers.pop() if numbers else None
