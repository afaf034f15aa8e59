"""The neuron layers as model-local functions of the domain ``spikeport.snn``: standard operators, one call a layer.

Inputs of every function, all broadcastable against [B, *neurons] (``threshold`` with time in front):

    x [T, B, *neurons]   decay   threshold [T, ...]   gain   bias   reset_to   (current_decay)

Output: spikes [T, B, *neurons] in the type of x. The single-step forms take x [B, *neurons], threshold without time and
the state, and give the state back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import onnx
from onnx import TensorProto, helper

from spikeport.formats.onnx_build import DOMAIN, OPSET
from spikeport.graph import LIF, CubaLIF

PARAMETERS = ["decay", "threshold", "gain", "bias", "reset_to"]


@dataclass
class Body:
    """Nodes of a function or of a Scan's body."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)

    def op(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node and return its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def function_name(node: LIF, time: str) -> str:
    """Which function a layer calls: its kind, comparison and reset; ``LIF`` alone fires on >= and resets to a value."""
    parts = [type(node).__name__]
    parts += ["above"] if node.compare == ">" else []
    parts += [node.reset] if node.reset in ("subtract", "none") else []
    parts += [time] if time != "scan" else []
    return "_".join(parts)


def function(node: LIF, time: str) -> onnx.FunctionProto:
    """The function that a layer calls."""
    cuba = isinstance(node, CubaLIF)
    parameters = PARAMETERS + (["current_decay"] if cuba else [])
    states = ["v", "i"] if cuba else ["v"]
    body = Body()
    if time == "step":
        inputs = ["x", *parameters, *states]
        outputs = ["spikes", *(f"{state}_out" for state in states)]
        _step(body, node)
    elif time == "scan":
        inputs, outputs = ["x", *parameters], ["spikes"]
        _scan(body, node, states)
    else:
        inputs, outputs = ["x", *parameters], ["spikes"]
        _unrolled(body, node, states)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_function(DOMAIN, function_name(node, time), inputs, outputs, body.nodes, opsets)


def _step(body: Body, node: LIF, x: str = "x", threshold: str = "threshold", spikes: str = "spikes", tag: str = "",
          v: str = "v", i: str = "i") -> None:  # fmt: skip
    """One step; writes ``spikes``, ``v_out`` and, for CubaLIF, ``i_out`` (each with ``tag`` behind)."""
    arriving = body.op("Mul", ["gain", x], f"arriving{tag}")
    if isinstance(node, CubaLIF):
        held = body.op("Mul", ["current_decay", i], f"held{tag}")
        arriving = body.op("Add", [held, arriving], f"i_out{tag}")
    leaked = body.op("Mul", ["decay", v], f"leaked{tag}")
    driven = body.op("Add", [leaked, arriving], f"driven{tag}")
    u = body.op("Add", [driven, "bias"], f"u{tag}")
    fired = body.op("Greater" if node.compare == ">" else "GreaterOrEqual", [u, threshold], f"fired{tag}")
    if node.reset == "subtract":
        lowered = body.op("Sub", [u, threshold], f"lowered{tag}")
        body.op("Where", [fired, lowered, u], f"v_out{tag}")
    elif node.reset == "none":
        body.op("Identity", [u], f"v_out{tag}")
    else:
        body.op("Where", [fired, "reset_to", u], f"v_out{tag}")
    body.op("CastLike", [fired, x], spikes)


def _start(body: Body, states: list[str]) -> None:
    """Zero states of the shape of one step of x."""
    body.op("Shape", ["x"], "shape", start=1)
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    body.op("ConstantOfShape", ["shape"], "zeros", value=zero)
    for state in states:
        body.op("CastLike", ["zeros", "x"], f"{state}_start")


def _scan(body: Body, node: LIF, states: list[str]) -> None:
    _start(body, states)
    inner = Body()
    _step(inner, node, "x_t", "threshold_t", "spikes_t")

    def value(name: str) -> onnx.ValueInfoProto:
        return onnx.ValueInfoProto(name=name)  # types and shapes follow from the call

    graph = helper.make_graph(
        inner.nodes,
        "step",
        [value(name) for name in (*states, "x_t", "threshold_t")],
        [value(name) for name in (*(f"{state}_out" for state in states), "spikes_t")],
    )
    inputs = [*(f"{state}_start" for state in states), "x", "threshold"]
    outputs = [*(f"{state}_end" for state in states), "spikes"]
    body.nodes.append(helper.make_node("Scan", inputs, outputs, body=graph, num_scan_inputs=2))


def _unrolled(body: Body, node: LIF, states: list[str]) -> None:
    _start(body, states)
    steps = node.timesteps
    now = {state: f"{state}_start" for state in states}
    for t in range(steps):
        body.op("Constant", [], f"t{t}", value_int=t)
        body.op("Gather", ["x", f"t{t}"], f"x_{t}", axis=0)
        body.op("Gather", ["threshold", f"t{t}"], f"threshold_{t}", axis=0)
        _step(body, node, f"x_{t}", f"threshold_{t}", f"spikes_{t}", f"_{t}", now["v"], now.get("i", ""))
        now = {state: f"{state}_out_{t}" for state in states}
    body.op("Constant", [], "front", value_ints=[0])
    rows = [body.op("Unsqueeze", [f"spikes_{t}", "front"], f"row_{t}") for t in range(steps)]
    body.op("Concat", rows, "spikes", axis=0)
