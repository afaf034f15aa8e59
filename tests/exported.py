"""Modules as torch's two exporters write them to ONNX: the older one by tracing, the newer one by torch.export."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Nothing on standard output, also of what writes there without Python, as the older one does where it fails."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def export(module, x, path, *, newer, open_axis=None):
    """Write ``module`` to ``path`` for an input like ``x``, or several; ``open_axis`` of it, or some, keep no size."""
    inputs = x if isinstance(x, tuple) else (x,)
    free = (open_axis,) if isinstance(open_axis, int) else open_axis
    with torch.no_grad(), warnings.catch_warnings(), silent():
        warnings.simplefilter("ignore")  # the older one warns that it is; both of each other's defaults
        if newer:
            shapes = None if free is None else (dict.fromkeys(free, torch.export.Dim.DYNAMIC),)
            torch.onnx.export(module.eval(), inputs, str(path), dynamo=True, dynamic_shapes=shapes)
        else:
            axes = None if free is None else {"input": {axis: f"axis{axis}" for axis in free}}
            names = {"input_names": ["input"][: len(inputs) < 2], "dynamic_axes": axes}
            torch.onnx.export(module.eval(), inputs, str(path), dynamo=False, opset_version=17, **names)
    return path
