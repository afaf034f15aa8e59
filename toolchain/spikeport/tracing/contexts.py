"""What holds while a module is followed: its calls go through a tracer, new tensors have the type of the samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from spikeport.tracing.state import uncompiled
from spikeport.tracing.tracer import Tracer

SOURCE = "_torchdynamo_inline"  #: where torch.jit.script keeps the function that it was given


@contextlib.contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    """New tensors are of the type of the samples."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class following:  # noqa: N801  (a context manager, read as a verb)
    """While open, calls of modules and torch functions go through a tracer; functions that `torch.jit.script` compiled
    run as the Python that they were made of, whose every step is seen. Types of autocasts are noted."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def __enter__(self) -> None:
        self.original = nn.Module.__call__
        tracer, original = self.tracer, self.original

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            return tracer.call(uncompiled(module), original, args, kwargs)

        compiled: Any = torch.jit.ScriptFunction.__call__

        def scripted(function: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(function, SOURCE, partial(compiled, function))(*args, **kwargs)

        entered: Any = torch.autocast.__enter__

        def entering(cast: Any) -> Any:
            result = entered(cast)
            self._note(cast.device)
            return result

        self._note("cpu")  # what capture is called under
        self.entered = entered
        torch.autocast.__enter__ = entering  # type: ignore
        self.compiled = compiled
        torch.jit.ScriptFunction.__call__ = scripted  # type: ignore
        nn.Module.__call__ = call  # type: ignore[method-assign]
        tracer.__enter__()  # type: ignore[no-untyped-call]

    def _note(self, device: str) -> None:
        if torch.is_autocast_enabled(device):
            self.tracer.autocasts.add(str(torch.get_autocast_dtype(device)).removeprefix("torch."))

    def __exit__(self, *error: Any) -> None:
        nn.Module.__call__ = self.original  # type: ignore[method-assign]
        torch.autocast.__enter__ = self.entered  # type: ignore
        torch.jit.ScriptFunction.__call__ = self.compiled  # type: ignore
        self.tracer.__exit__(*error)  # type: ignore[no-untyped-call]
