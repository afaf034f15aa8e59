"""`capture`: a PyTorch module becomes a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

import spikeport.tracing.ours  # noqa: F401  (registers spikeport's own neurons)
from spikeport import loops
from spikeport.findings import SpikeportError, fail
from spikeport.graph import Array, Coding, Graph
from spikeport.passes.fold_norm import fold_norm
from spikeport.tracing.plan import Plan
from spikeport.tracing.readings import (
    Drawing,
    one_a_network,
    only,
    plans,
    plans_with_time,
    probe_batch,
    refusal,
    same_network,
    same_node,
)
from spikeport.tracing.registry import foreign, registered
from spikeport.tracing.second_call import second_call
from spikeport.tracing.state import Forward, folds, uncompiled
from spikeport.tracing.symbols import SAY_STEPS
from spikeport.tracing.trace import run

AGAIN = 3.0  #: how much larger the samples of the second run are, which has to give the same graph


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
    """The graph of a module in evaluation mode. ``input_shape`` is one sample's, without time and batch; one that holds
    the timesteps as well, first or last, is tried where nothing else can be captured.

    ``forward`` says what one call of the module does: "sample" takes [B, ...] and runs all timesteps inside, "sequence"
    takes all steps, [T, B, ...], [B, T, ...] or [B, ..., T], "step" takes one step [B, ...] and keeps its state for the
    next call. Left out, every reading is tried and the one that can be proved is taken (samples, where a module takes
    samples and frames for one network and ``coding`` does not say "events"); the graph's provenance says which.
    ``timesteps`` is needed where the module does not say it. ``coding`` of a "step" module is "direct" (the same
    input at each step) unless told. ``output`` picks one of several results, by number or key;
    left out, results with keys, and trains of spikes, are all outputs.

    With ``fold`` batch normalisations are folded away where they can be. With ``verify`` the graph is run against the
    module in float64 on samples that make every layer fire and be silent where that can be reached, and every spike
    must agree. Names of nodes are module paths; hand-written neurons are named by the module that holds their loop.

    Raises SP380 with everything unsupported that the result depends on, SP330 where several readings prove to be
    different networks, and SP381-SP389; the module is left as it was.
    """
    if not isinstance(module, nn.Module):
        fail("SP386", f"{type(module).__name__} is no nn.Module")
    module = uncompiled(module)
    module_is_ready(module)
    steps = timesteps or _timesteps(module)
    shape = _sizes(input_shape)
    asked = list(plans(module, shape, steps, forward, coding, output))
    tries = _drawn(module, asked, fold)
    plain = any(isinstance(drawn, Drawing) for _, drawn in tries)
    if not plain or (forward is None and steps in (shape[:1] + shape[-1:])):
        others = _drawn(module, plans_with_time(asked), fold)
        timed = [pair for pair in others if isinstance(pair[1], Drawing) and pair[1].timed]
        tries += timed if plain or timed else others
    drawings = [drawing for _, drawing in tries if isinstance(drawing, Drawing)]
    over_time = [drawing for drawing in drawings if drawing.timed]
    refused = forward is None and len(drawings) < len(tries)  # then a state may be what could not be followed
    drawings = one_a_network(over_time or ([] if refused else drawings), coding)
    if not drawings and steps is None and folds(module):
        what = "its layers take samples and time in one axis, and nothing says how many timesteps"
        fail("SP384", what, where=type(module).__name__, mend=SAY_STEPS)
    if not drawings:
        raise refusal(module, tries, forward)
    if forward is None and steps is None and all(d.graph.timesteps == 1 for d in drawings):
        fail("SP384", "the module does not say how many timesteps it runs", mend=SAY_STEPS)
    if not verify:
        return only(drawings, forward).said(forward)
    proofs = [_proved(module, drawing, fold) for drawing in drawings]
    graphs = [d for d in proofs if isinstance(d, Drawing)]
    if not graphs:
        raise next(error for error in proofs if isinstance(error, SpikeportError))
    return only(graphs, forward).said(forward)


def module_is_ready(module: nn.Module) -> None:
    """Refuse scripted modules, and parameters that are NaN, of mixed types, or not made yet."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        fail(
            "SP386",
            "a module made by torch.jit hides what it does",
            mend="capture the module that was given to torch.jit.script or torch.jit.trace; or torch.onnx.export it, "
            "and open the .onnx",
        )
    if "eval" in vars(module):  # torch.export puts one there that raises
        what = "a module of torch.export cannot be put into evaluation"
        mend = "capture the module that was exported; or torch.onnx.export the program, and open the .onnx"
        fail("SP386", what, mend=mend)
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
    if isinstance(input_shape, str) or not isinstance(input_shape, Iterable):
        one = f"({input_shape},)" if isinstance(input_shape, int) else "(784,)"
        mend = f"pass the sizes of all axes of a sample: {one} for one axis, (1, 28, 28) for an image"
        fail("SP386", f"input_shape is {input_shape!r}, not the shape of one sample", mend=mend)
    sizes = tuple(input_shape)
    whole = all(isinstance(size, int | np.integer) and size > 0 for size in sizes)
    if not whole:
        fail("SP386", f"input_shape is {sizes}", mend="pass whole numbers above zero, such as (1, 28, 28)")
    return tuple(int(size) for size in sizes)


def _drawn(module: nn.Module, asked: list[Plan], fold: bool) -> list[tuple[Plan, Drawing | SpikeportError]]:
    """The graph of each reading, or why there is none.

    Where all are refused, each is tried with what is inside libraries' neurons, and with states between layers.
    """
    tries = [(plan, _tried(module, plan, fold)) for plan in asked]
    for leaks, inside in ((False, True), (True, False), (True, True)):
        if any(_timed(drawn) for _, drawn in tries) or (inside and not foreign(module)):
            continue
        others = [(plan, _tried(module, replace(plan, inside=inside, leaks=leaks), fold)) for plan in asked]
        tries = [other if _timed(other[1]) else one for one, other in zip(tries, others, strict=True)]
    return tries


def _timed(drawn: Drawing | SpikeportError) -> bool:
    return isinstance(drawn, Drawing) and drawn.timed


def _tried(module: nn.Module, plan: Plan, fold: bool) -> Drawing | SpikeportError:
    """The graph, or why there is none; where comparisons below a threshold can be layers, the smaller one of both.

    Where there is none, normalisations that get membranes are tried as numbers of these.
    """
    asks: set[str] = set()
    first = _attempt(module, plan, fold, asks)
    if (lines := frozenset(asks - {"low"})) and not isinstance(first, Drawing):
        plan, asks = replace(plan, normed=lines), set()
        other = _attempt(module, plan, fold, asks)
        first = first if not isinstance(other, Drawing) and len(other.findings) > len(first.findings) else other
    if "low" not in asks:
        return first
    other = _attempt(module, replace(plan, low=True), fold, asks)
    if not isinstance(first, Drawing) or not isinstance(other, Drawing):
        return other if isinstance(other, Drawing) else first
    return other if len(other.graph.nodes) <= len(first.graph.nodes) else first


def _attempt(module: nn.Module, plan: Plan, fold: bool, asks: set[str]) -> Drawing | SpikeportError:
    try:
        return draw(module, plan, fold, asks=asks)
    except SpikeportError as error:
        return error


def draw(module: nn.Module, plan: Plan, fold: bool, again: bool = False, asks: set[str] | None = None) -> Drawing:
    """The graph as drawn, in the float type of the module's parameters; ``again`` on other samples, and as many.

    ``asks`` as in `trace.run`.
    """
    batch = probe_batch(plan)
    batch = probe_batch(plan, batch) if again else batch
    lead = (plan.timesteps or 1, batch) if plan.coding == "events" else (batch,)
    samples = torch.randn(*lead, *plan.shape, generator=torch.Generator().manual_seed(int(again))).to(dtype_of(module))
    with loops.left_out():
        followed = run(module, samples * AGAIN if again else samples, plan, asks)
    graph = _folded(followed.graph) if fold else followed.graph
    return Drawing(plan, graph, followed.read, followed.timed)


def _folded(graph: Graph) -> Graph:
    """The graph without normalisations; as it is, with a note, where a constant of one has no bias to go to."""
    try:
        return fold_norm(graph)
    except SpikeportError as error:
        if error.code != "SP351":
            raise
        (where, *_) = (finding.where for finding in error.findings)
        note = f"normalisations and constants are nodes of their own, since one cannot be folded past {where}"
        notes = [*graph.provenance.get("notes", ()), f"{note}: integers refuse that"]
        return graph.with_(provenance={**graph.provenance, "notes": notes})


def _proved(module: nn.Module, drawing: Drawing, fold: bool) -> Drawing | SpikeportError:
    from spikeport.tracing.verify import (
        SCALES,
        Seen,
        probe,
        prove,
    )  # the engine, which a capture without proof does not need

    def again(of: nn.Module, plan: Plan, samples: Array) -> Seen:
        followed = run(of, torch.as_tensor(samples), plan)
        graph = _folded(followed.graph) if fold else followed.graph
        return Seen(plan, graph, samples, followed.record(graph))

    try:
        repeatable(drawing, draw(module, drawing.plan, fold, again=True))
        kept = second_call(module, drawing.plan, torch.as_tensor(probe(drawing.graph, SCALES)).to(dtype_of(module)))
        return replace(drawing, notes=kept, graph=prove(module, drawing.graph, drawing.plan, again))
    except SpikeportError as error:
        return error


def repeatable(first: Drawing, second: Drawing) -> None:
    """Refuse a module whose numbers are others on other samples: values of the first would stay in the graph.

    Raises SP381 where the module reads values, else SP331.
    """
    if same_network(first.graph, second.graph):
        return
    if first.read:
        raise SpikeportError(list(first.read))
    differ = [name for name, node in first.graph.nodes.items() if not same_node(node, second.graph.nodes.get(name))]
    fail(
        "SP331",
        "two runs of the module, each on samples of its own, are two networks"
        + (f": the numbers of {', '.join(map(repr, differ[:3]))} differ" if differ else ""),
        why="random numbers, counters or the size of the batch would become constants of the graph.",
        mend="take them out of forward, for instance random encoding of the input, which belongs to the data",
    )


def dtype_of(module: nn.Module) -> torch.dtype:
    """The float type of the module's parameters."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def _timesteps(module: nn.Module) -> int | None:
    numbers = {int(n) for part in module.modules() if isinstance(n := getattr(part, "timesteps", None), int)}
    folded = [part for part in module.modules() if (kind := registered(part)) is not None and kind.folded]
    told = [getattr(part, "num_timesteps", None) for part in folded]  # as Sinabs' layers say it
    numbers |= {number for number in told if isinstance(number, int) and number > 0}
    if len(numbers) > 1:
        fail(
            "SP384", f"the module's parts run {sorted(numbers)} timesteps", mend="build it with one number of timesteps"
        )
    return numbers.pop() if numbers else None
