"""A second call of a module: one that is reset as capture resets it does the same again, unless it keeps or counts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikeport.findings import fail
from spikeport.tracing.contexts import default_type
from spikeport.tracing.functions import tensors
from spikeport.tracing.plan import Plan, Results, called
from spikeport.tracing.state import evaluating, reset

Places = dict[str, tuple[tuple[int, int], ...]]  #: attribute -> the tensors in it, and how often each was written


def second_call(module: nn.Module, plan: Plan, samples: Tensor) -> tuple[str, ...]:
    """What to say where a second call on the same samples [B, *shape], or [T, B, *shape], gives other results.

    Raises SP331 where no state in an attribute can be why: then it counts its calls, or draws random numbers.
    """
    with evaluating(module), torch.no_grad(), default_type(samples.dtype):
        before = _places(module)
        first = called(module, samples, plan)
        reset(module)
        kept = [name for name, held in _places(module).items() if held and held != before.get(name)]
        try:
            if _alike(first, called(module, samples, plan)):
                return ()
            what = "gives another result"
        except Exception as error:
            what = f"fails ({type(error).__name__}: {error})"
    if not kept:
        fail(
            "SP331",
            f"a second call of the module on the same samples {what}",
            where=type(module).__name__,
            why="random numbers and counters of calls would become constants of the graph.",
            mend="take them out of forward, or bring them back in a method named reset()",
        )
    return (
        f"the module keeps {', '.join(kept[:3])} from one call to the next: a second call {what}; the graph starts "
        "every sample as the first call does. Where that is meant, empty it in a method named reset()",
    )


def _alike(a: Results, b: Results) -> bool:
    pairs = [(a[key].double(), b[key].double()) for key in a]
    return all(x.shape == y.shape and torch.allclose(x, y, rtol=1e-4, atol=1e-6, equal_nan=True) for x, y in pairs)


def _places(module: nn.Module) -> Places:
    """The tensors that are no parameters, by attribute."""
    places: Places = {}
    for path, part in module.named_modules():
        own: dict[str, Any] = {
            **part._buffers,
            **{name: value for name, value in vars(part).items() if name[:1] != "_"},
        }
        for name, value in own.items():
            held = [t for t in tensors(value) if not isinstance(t, nn.Parameter)]
            places[".".join(word for word in (path, name) if word)] = tuple((id(t), t._version) for t in held)
    return places
