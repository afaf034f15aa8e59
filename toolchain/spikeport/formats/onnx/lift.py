"""ONNX models that are not ours any more, or never were: ordinary operators around our neuron functions, as a Graph.

A value is followed with its sample's shape and its place for time: still [B, ...], flat [T * B, ...] or [T, B, ...].
What only moves between these leaves no node. Every operator that has no place in a Graph is named at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto

from spikeport.findings import Finding, Severity, SpikeportError, fail
from spikeport.formats.onnx.builder import DOMAIN
from spikeport.formats.onnx.draft import Draft, Lifted, UnsupportedError, sane
from spikeport.formats.onnx.lift_constants import FOLDED
from spikeport.formats.onnx.lift_operators import RULES, neuron
from spikeport.graph import LIF, Array, Graph, Input, Peak, Real, Scale

STANDARD = ("", "ai.onnx")  #: the domain of ONNX's own operators


def lift(model: onnx.ModelProto, arrays: Mapping[str, Array], where: str) -> Graph:
    """The graph of a model. Raises SP251 with every operator that it cannot hold, SP250 for what makes no sense."""
    work = Draft(model, dict(arrays))
    try:
        graph = _run(work)
    except SpikeportError as error:
        if error.code == "SP251":
            raise SpikeportError(
                replace(finding, where=f"{where}, {finding.where}" if finding.where else where)
                for finding in error.findings
            ) from None
        raise _broken(model, f"do not make a network ({error.findings[0].what})", where) from None
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError) as error:
        raise _broken(model, f"do not fit together ({type(error).__name__}: {error})", where) from None
    return graph


def _broken(model: onnx.ModelProto, what: str, where: str) -> SpikeportError:
    """That the operators make no sense, and that none of them is a neuron where that may be why."""
    spiking = any(operator.domain == DOMAIN for operator in model.graph.node)
    why = [] if spiking else [replace(silent(model, "error"), where=where)]
    return SpikeportError([Finding("SP250", f"its operators {what}", where), *why])


COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sign")  #: what a threshold is written with


def silent(model: onnx.ModelProto, severity: Severity) -> Finding:
    """That a model has no spiking neuron, or none that is one operator."""
    thresholds = list(_comparisons(model.graph.node)) + [name for f in model.functions for name in _comparisons(f.node)]
    if thresholds:
        names = ", ".join(map(repr, thresholds[:4])) + (", …" if len(thresholds) > 4 else "")
        return Finding(
            "SP258",
            f"{len(thresholds)} operators compare, {names}: neurons there are written as plain operators",
            severity=severity,
            why="what such operators keep from step to step is not read off operator by operator.",
            mend="open it with load_model or a verb, which follow them over all steps",
        )
    return Finding(
        "SP258",
        "no operator is a spiking neuron: nothing in it spikes",
        severity=severity,
        why="spikeport knows neurons as functions of the domain spikeport.snn; ReLUs and the like are not spikes.",
        mend="export a spiking network, or train or convert this one first",
    )


def written_out(model: onnx.ModelProto) -> bool:
    """Whether comparisons, and no functions of ours, may be the neurons of a model."""
    ours = any(operator.domain == DOMAIN for operator in model.graph.node)
    return not ours and (any(_comparisons(model.graph.node)) or any(any(_comparisons(f.node)) for f in model.functions))


def _comparisons(operators: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """The comparisons among operators, and in the bodies of loops."""
    for operator in operators:
        if operator.op_type in COMPARISONS and operator.domain in STANDARD:
            yield operator.name or operator.output[0]
        for attribute in operator.attribute:
            yield from _comparisons(attribute.g.node)


def _run(work: Draft) -> Graph:
    """Lift every operator in order."""
    _enter(work)
    operators = work.model.graph.node
    schedules = [call.input[2] for call in operators if call.domain == DOMAIN and len(call.input) > 2]
    schedules += [read.input[0] for read in operators if read.op_type == "Gather"]
    work.lengths |= {len(work.constants[name]) for name in schedules if name in work.constants}
    if len(work.lengths) > 1:
        fail("SP250", f"its schedules have different lengths: {sorted(work.lengths)}")
    refused: dict[str, list[str]] = {}  #: what is wrong, and of which operators
    for operator in operators:
        try:
            _lift(work, operator)
        except UnsupportedError as error:
            kind = f"{operator.domain}.{operator.op_type}" if operator.domain else operator.op_type
            refused.setdefault(f"{kind}: {error}", []).append(repr(operator.name or operator.output[0]))
    mend = f"use spikeport.snn functions and {', '.join(sorted(RULES))}"
    findings = [Finding("SP251", what, _operators(names), mend=mend) for what, names in refused.items()]
    spiking = any(operator.domain == DOMAIN for operator in operators)
    if findings:
        raise SpikeportError([*findings, *([] if spiking else [silent(work.model, "error")])])
    return _graph(work)


def _operators(names: list[str]) -> str:
    if len(names) == 1:
        return f"operator {names[0]}"
    return f"{len(names)} operators, {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"


def _graph(work: Draft) -> Graph:
    outputs = tuple(_leaving(work, name, end) for name, end in _ends(work))
    arithmetic = Real("float64" if work.double else "float32")
    facts = {"format": "onnx", "producer": work.model.producer_name}
    several = outputs if len(outputs) > 1 else ()
    return Graph(work.nodes, tuple(work.edges), work.steps, arithmetic, work.after_end, facts, several)


def _ends(work: Draft) -> Iterator[tuple[str, Lifted]]:
    """The outputs of the model: its first, and further ones but for the spikes of layers, which any run records."""
    for place, info in enumerate(work.model.graph.output):
        if info.name not in work.values:
            fail("SP250", f"its output {info.name!r} is no value that follows from the input")
        if place == 0 or not _spikes(work, work.values[info.name]):
            yield info.name if place else "output", work.values[info.name]


def _spikes(work: Draft, value: Lifted) -> bool:
    layers = [work.nodes[source] for source in value.sources]
    return value.form == "time" and all(isinstance(node, LIF) and not isinstance(node, Peak) for node in layers)


def _leaving(work: Draft, name: str, end: Lifted) -> str:
    """The node that an output leaves from; a factor of 1 where that leads on, or where several add up."""
    if len(end.sources) == 1 and not any(a == end.sources[0] for a, _ in work.edges):
        return end.sources[0]
    while name in work.nodes:
        name += "_"
    work.nodes[name] = Scale(np.asarray(1.0, np.float32))
    work.edges += [(source, name) for source in end.sources]
    return name


def _enter(work: Draft) -> None:
    inputs = [info for info in work.model.graph.input if info.name not in work.constants]
    if len(inputs) != 1:
        fail("SP250", f"the model has {len(inputs)} inputs, a network has one")
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        fail("SP250", f"the input is {TensorProto.DataType.Name(kind)}, not float32 or float64")
    work.double = kind == TensorProto.DOUBLE
    dims = inputs[0].type.tensor_type.shape.dim
    fixed = [d.dim_value if d.HasField("dim_value") else None for d in dims]
    if len(fixed) < 2 or None in fixed[2:]:
        fail("SP250", f"the input's shape {fixed} is not known but for the batch")
    events = fixed[1] is None
    if events and fixed[0] is not None:
        work.lengths.add(fixed[0])
    shape = tuple(int(n or 0) for n in fixed[2 if events else 1 :])
    try:
        sane(shape)
    except UnsupportedError as error:
        fail("SP250", f"its input {error}")
    work.nodes["input"] = Input(shape, "events" if events else "direct")
    work.values[inputs[0].name] = Lifted(("input",), "time" if events else "still", shape)


def _lift(work: Draft, operator: onnx.NodeProto) -> None:
    if operator.output[0] in work.done:
        return
    if operator.domain == DOMAIN:
        neuron(work, operator)
        return
    constant = all(name in work.constants for name in operator.input if name)
    table = FOLDED if constant else RULES
    if operator.domain not in STANDARD or operator.op_type not in table:
        raise UnsupportedError("has no place in a spiking graph")
    missing = [name for name in operator.input if name and name not in work.constants and name not in work.values]
    if missing:
        if any(name not in work.done for name in missing):
            return  # behind an operator that was reported already
        raise UnsupportedError(f"needs {missing[0]!r}, which belongs to the readout")
    if constant:
        work.constants[operator.output[0]] = FOLDED[operator.op_type](work, operator)
    else:
        RULES[operator.op_type](work, operator)
