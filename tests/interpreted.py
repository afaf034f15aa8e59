"""Triton's interpreter, on which the kernels of a GPU run here, at a speed that a suite can bear, between `guards`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

import torch

from guards import launch_between_zones, poisoned

#: kernels are made for the interpreter or for a card when they are loaded, so a process has one or the other
MISSING = (
    "Triton is not installed (pip install 'spikeport[gpu-tests]')"
    if find_spec("triton") is None
    else "a card runs the kernels themselves"
    if torch.cuda.is_available()
    else ""
)


@contextmanager
def interpreted() -> Iterator[None]:
    """Within, kernels that are loaded for the first time run in the interpreter, as those loaded before."""
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    from triton.runtime import interpreter

    patch, run = interpreter._patch_lang, interpreter.GridExecutor.__call__
    patched: set[str] = set()

    def once(function):
        """The interpreter patches Triton's language at each call of a function in a kernel: once a file will do."""
        file = function.__module__
        if file not in patched:
            patched.add(file)
            return patch(function)

    def launch(self, *args, **kwargs):
        patched.clear()
        assert callable(self.grid) or len(self.grid) == 1, "programs along another axis than the first end at 65,535"
        launch_between_zones(partial(run, self), args, kwargs)

    interpreter._patch_lang, interpreter.GridExecutor.__call__ = once, launch
    try:
        with poisoned():
            yield
    finally:
        interpreter._patch_lang, interpreter.GridExecutor.__call__ = patch, run
        if before is None:
            del os.environ["TRITON_INTERPRET"]
