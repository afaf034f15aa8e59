"""`capture`: a PyTorch module becomes a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import spikeport.tracing.ours  # noqa: F401  (registers spikeport's own neurons)
from spikeport.findings import SpikeportError, fail, raise_errors
from spikeport.graph import Coding, Graph
from spikeport.passes.fold_norm import fold_norm
from spikeport.tracing import arithmetic, layers, shapes
from spikeport.tracing.functions import SUPPORTED
from spikeport.tracing.state import Forward, evaluating, forward_of
from spikeport.tracing.symbols import Symbol, Unsupported
from spikeport.tracing.tracer import Tracer, following
from spikeport.tracing.verify import verify as prove

HANDLERS = arithmetic.HANDLERS | layers.HANDLERS | shapes.HANDLERS


def capture(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    timesteps: int | None = None,
    forward: Forward | None = None,
    coding: Coding | None = None,
    output: int | None = None,
    verify: bool = True,
    fold: bool = True,
) -> Graph:
    """The graph of a module in evaluation mode. ``input_shape`` is one sample's, without time and batch.

    ``forward`` says what one call of the module does: "sample" takes [B, ...] and runs all timesteps inside, "sequence"
    takes [T, B, ...], "step" takes one step [B, ...] and keeps its state for the next call. Left out, it is read from
    the modules: a `Repeat` means "sample", other neurons over [T, B, ...] "sequence", neurons that take one step a
    call "step". ``timesteps`` is needed where the module does not say it. ``coding`` of a "step" module is "direct"
    (the same input at each step) unless told. ``output`` picks one of several results.

    With ``fold`` batch normalisations are folded away. With ``verify`` the graph is run against the module in float64
    on a probe batch, and every spike must agree. Names of nodes are module paths.

    Raises SP380 with everything unsupported, and SP381-SP389; the module is left as it was.
    """
    if not isinstance(module, nn.Module):
        fail("SP386", f"{type(module).__name__} is no nn.Module")
    if any(p.requires_grad and torch.isnan(p).any() for p in module.parameters()):
        fail("SP114", "the module holds parameters that are NaN", mend="the training diverged, or the file is damaged")
    way = forward or forward_of(module)

    def draw(of: nn.Module) -> Graph:
        graph = trace(of, tuple(input_shape), timesteps, way, coding, output)
        return fold_norm(graph) if fold else graph

    graph = draw(module)
    return prove(module, graph, draw, way, output) if verify else graph


def trace(
    module: nn.Module,
    input_shape: tuple[int, ...],
    timesteps: int | None,
    way: Forward,
    coding: Coding | None,
    output: int | None,
) -> Graph:
    """The graph as drawn, in the float type of the module's parameters, nothing folded."""
    timesteps = timesteps or _timesteps(module)
    if way != "sample" and timesteps is None:
        fail("SP384", "the module does not say how many timesteps it runs", mend="pass timesteps=T")
    dtype = _dtype(module)
    batch = next(b for b in (2, 3, 5) if b != timesteps and b not in input_shape)
    tracer = Tracer(module, batch, np.dtype("float64" if dtype == torch.float64 else "float32"), HANDLERS, timesteps)
    with evaluating(module), torch.no_grad():
        outcome = _run(tracer, module, way, input_shape, coding or _coding(way), dtype)
    return _finish(tracer, module, outcome, output, way)


def _run(tracer: Tracer, module: nn.Module, way: Forward, shape: tuple[int, ...], coding: str, dtype: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    lead = (tracer.timesteps, tracer.batch) if way == "sequence" else (tracer.batch,)
    x = torch.randn(*lead, *shape, generator=generator, dtype=dtype)
    source = tracer.draft.source("input", shape, "direct" if way == "sample" else coding)
    try:
        with following(tracer):
            if way == "sequence":
                tracer.know(x, Symbol(source.terms, shape, "all"))
                return module(x)
            if way == "sample":
                tracer.know(x, source)
                return module(x)
            results = []
            for t in range(tracer.timesteps or 1):
                now = x.clone()
                tracer.know(now, source if coding == "direct" else Symbol(source.terms, shape, "frame", t))
                results.append(module(now))
            return _stacked(tracer, results)
    except SpikeportError:
        raise
    except Exception as error:
        if not tracer.findings:
            what = f"its forward fails on a probe of shape {list(x.shape)}: {type(error).__name__}: {error}"
            mend = 'check input_shape, and forward="sample", "sequence" or "step"'
            tracer.report(what, mend=mend, code="SP386")
        raise_errors(tracer.findings)


def _stacked(tracer: Tracer, results: list[Any]) -> Any:
    """The results of all steps, place by place, joined over time."""
    if isinstance(results[0], Tensor):
        return torch.stack(results)
    if isinstance(results[0], tuple | list):
        return tuple(
            _stacked(tracer, list(part))
            if isinstance(part[0], Tensor) and isinstance(tracer.known_of(part[0]), Symbol)
            else part[0]
            for part in zip(*results, strict=True)
        )
    return results[0]


def _finish(tracer: Tracer, module: nn.Module, outcome: Any, output: int | None, way: Forward) -> Graph:
    try:
        timesteps = tracer.length()
    except Unsupported as reason:
        tracer.report(str(reason), code="SP384")
        timesteps = None
    if not tracer.findings and timesteps is None:
        tracer.report(
            "runs no timestep that capture can see: no neuron, no Repeat",
            mend="pass timesteps=T, or spiking neurons",
            code="SP384",
        )
    raise_errors(tracer.findings)
    result = _result(tracer, outcome, output)
    provenance = {"source": "pytorch", "module": type(module).__name__, "forward": way}
    assert timesteps is not None
    return tracer.draft.finish(result, timesteps, provenance)


def _result(tracer: Tracer, outcome: Any, output: int | None) -> Symbol:
    values = [outcome] if isinstance(outcome, Tensor) else list(outcome) if isinstance(outcome, tuple | list) else []
    if output is None and len(values) > 1:
        fail("SP385", f"the module returns {len(values)} results", mend="say which one counts: output=0")
    index = output or 0
    if index >= len(values):
        fail("SP385", f"the module returns no result number {index}")
    known = tracer.known_of(values[index])
    if not isinstance(known, Symbol):
        fail(
            "SP385",
            "the module's result does not come from its input, as far as can be followed",
            mend=f"supported are: {SUPPORTED}",
        )
    if known.layout == "merged":
        fail("SP385", "the module's result still has time folded into the batch", mend="return [T, B, ...] or [B, ...]")
    return known


def _timesteps(module: nn.Module) -> int | None:
    numbers = {int(n) for part in module.modules() if isinstance(n := getattr(part, "timesteps", None), int)}
    if len(numbers) > 1:
        fail(
            "SP384", f"the module's parts run {sorted(numbers)} timesteps", mend="build it with one number of timesteps"
        )
    return numbers.pop() if numbers else None


def _coding(way: Forward) -> str:
    return "events" if way == "sequence" else "direct"


def _dtype(module: nn.Module) -> torch.dtype:
    dtypes = {p.dtype for p in module.parameters() if p.is_floating_point()}
    if len(dtypes) > 1 or (dtypes and not dtypes <= {torch.float32, torch.float64}):
        fail(
            "SP386",
            f"the module's parameters are {', '.join(sorted(map(str, dtypes)))}",
            mend="convert it to one type first: module.float()",
        )
    return dtypes.pop() if dtypes else torch.float32
