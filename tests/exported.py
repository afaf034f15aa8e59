"""Modules as torch's two exporters write them to ONNX: the older one by tracing, the newer one by torch.export."""

from __future__ import annotations

import contextlib
import io
import warnings

import torch


def export(module, x, path, *, newer, open_axis=None):
    """Write ``module`` to ``path`` for an input like ``x``, or several; ``open_axis`` of it keeps no size."""
    inputs = x if isinstance(x, tuple) else (x,)
    said = io.StringIO()  # both print what they do
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        warnings.simplefilter("ignore")  # the older one warns that it is; both of each other's defaults
        if newer:
            shapes = None if open_axis is None else ({open_axis: torch.export.Dim.DYNAMIC},)
            torch.onnx.export(module.eval(), inputs, str(path), dynamo=True, dynamic_shapes=shapes)
        else:
            axes = None if open_axis is None else {"input": {open_axis: "batch"}}
            names = {"input_names": ["input"][: len(inputs) < 2], "dynamic_axes": axes}
            torch.onnx.export(module.eval(), inputs, str(path), dynamo=False, opset_version=17, **names)
    return path
