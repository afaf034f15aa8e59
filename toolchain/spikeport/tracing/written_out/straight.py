"""Loops, scans, branches and lists of an ONNX model written out, so that its operators stand in a row.

torch.jit.script keeps a loop over time as a Loop, whose body may append to a list; torch.export writes torch's scan as
a Scan. How often they run follows from constants and from sizes of the input (`sizes.Sizes`).
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from spikeport.graph import Array
from spikeport.tracing.symbols import SAY_STEPS, Unsupported
from spikeport.tracing.written_out import lists, loops
from spikeport.tracing.written_out.prepared import STANDARD
from spikeport.tracing.written_out.row import Row
from spikeport.tracing.written_out.sizes import OpenAxisError

RULES = {**loops.RULES, **lists.RULES}


def straight(
    model: onnx.ModelProto, arrays: Mapping[str, Array], timesteps: int | None
) -> tuple[onnx.ModelProto, Mapping[str, Array]]:
    """A model without loops and branches, and its arrays. Of an axis that is open and counts steps ``timesteps`` is the
    size.

    Raises `Unsupported` where values of the input, or samples, say how often something runs, and where nothing does.
    """
    if not any(operator.op_type in RULES and operator.domain in STANDARD for operator in model.graph.node):
        return model, arrays
    inputs = [info for info in model.graph.input if info.name not in arrays]
    if not inputs:
        raise Unsupported("the model has no input")
    try:
        return Row(model, inputs, arrays, RULES).written()
    except OpenAxisError as open_axis:
        what = f"it loops as often as axis {open_axis.axis} of its input is long, which the file leaves open"
        if timesteps is None:
            raise Unsupported(what, "SP384", SAY_STEPS) from None
        entry = onnx.ValueInfoProto()
        entry.CopyFrom(inputs[0])
        entry.type.tensor_type.shape.dim[open_axis.axis].dim_value = timesteps
        try:
            return Row(model, [entry, *inputs[1:]], arrays, RULES).written()
        except OpenAxisError:
            raise Unsupported(f"{what}, and as another axis, too") from None
