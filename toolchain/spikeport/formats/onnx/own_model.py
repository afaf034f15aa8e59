"""Our own ONNX models: built from a Graph, and taken apart into the same Graph, to the bit.

The model's metadata hold what ONNX cannot say (names, shapes, units, provenance). Reading trusts them only where the
model that they describe, built again, is the model in the file; otherwise the operators are what counts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, inliner

from spikeport import reading
from spikeport.findings import Finding
from spikeport.formats import facts as facts_
from spikeport.formats.choices import Time
from spikeport.formats.onnx import file
from spikeport.formats.onnx.all_steps import Whole
from spikeport.formats.onnx.builder import DOMAIN, DOMAIN_VERSION, IR_VERSION, OPSET, Builder
from spikeport.formats.onnx.layout import Layout, spiking
from spikeport.formats.onnx.number_of_steps import STEPS, continuation
from spikeport.formats.onnx.one_step import Step, infos
from spikeport.formats.onnx.places import array_of, placed
from spikeport.formats.onnx.recurrent import Looped, Recurrent, Unrolled
from spikeport.formats.typed import require_type
from spikeport.graph import Array, Graph, Loihi, Pool, Profile, Real
from spikeport.graph.shifts import shift_each

KEY = "spikeport"
DIGEST = "initialisers"  #: the fact that tells whether a number was changed since


STATE_BITS_0_1 = 24  #: what 0.1 wrote whatever the profile said


def build(
    graph: Graph,
    time: Time,
    *,
    hollow: bool = False,
    old: bool = False,
    portable: bool = False,
    inline: bool = False,
    apart: dict[str, Array] | None = None,
) -> onnx.ModelProto:
    """The model of a graph; ``old``: with the operators of 0.1; ``portable``: with those that most tools know;
    ``inline``: with the functions written out.

    ``apart`` gets the network's arrays by initialiser, which then hold none, for `file.save`.

    Raises SP125 for an arithmetic it cannot write.
    """
    facts_.require_own(graph, "ONNX")
    dtype = np.dtype(graph.arithmetic.dtype if isinstance(graph.arithmetic, Real) else np.int32)
    builder = Builder(dtype, hollow, apart)
    if portable:
        graph = shift_each(graph)
    free = None if time == "unroll" else continuation(graph)
    layout: Layout
    if time == "step":
        layout = Step(graph, builder, free=free, old=old, portable=portable)
        inputs, outputs = _step_ends(layout)
    elif graph.recurrent:
        kind = Unrolled if time == "unroll" else Looped
        layout = kind(graph, builder, free=free, old=old, portable=portable)
        layout.run()
        inputs, outputs = _ends(layout)
    else:
        layout = Whole(graph, builder, free=free, time=time, old=old, portable=portable)
        layout.run()
        inputs, outputs = _ends(layout)
    model = builder.model
    model.ir_version, model.producer_name, model.graph.name = IR_VERSION, "spikeport", "spikeport"
    model.opset_import.extend([helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)])
    model.graph.node.extend(builder.nodes)
    model.graph.input.extend(inputs)
    model.graph.output.extend(outputs)
    model.functions.extend(builder.functions.values())
    forms = {name: True for name, chosen in {"portable": portable, "inline": inline}.items() if chosen}
    facts = _facts(graph, layout, time) | forms | ({} if hollow else {DIGEST: _digest(model, apart or {})})
    helper.set_model_props(model, {KEY: facts_.to_json(facts)})
    if inline:
        model = inliner.inline_local_functions(model)
        del model.opset_import[1:]  # our domain, which nothing uses any more
    return model


def _digest(model: onnx.ModelProto, apart: Mapping[str, Array]) -> str:
    """SHA-256 over the initialisers, as they stand in the file; ``apart`` as for `build`."""
    total = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        if tensor.name in apart or (tensor.HasField("raw_data") and not tensor.data_location):
            total.update(repr((tensor.name, tensor.data_type, list(tensor.dims))).encode())
            total.update(file.raw(apart[tensor.name]) if tensor.name in apart else tensor.raw_data)
        else:
            total.update(tensor.SerializeToString(deterministic=True))
    return total.hexdigest()


Infos = list[onnx.ValueInfoProto]


def _ends(layout: Whole | Recurrent) -> tuple[Infos, Infos]:
    """Inputs and outputs of a model of all timesteps."""
    graph = layout.graph
    node = graph.entry
    steps = STEPS if layout.free else graph.timesteps
    lead: list[int | str] = [steps, "batch"] if node.coding == "events" else ["batch"]
    between, entering, leaving = _kinds(graph, layout.builder)
    inputs = [helper.make_tensor_value_info("input", entering, [*lead, *node.shape])]
    if layout.free and node.coding == "direct":
        inputs.append(helper.make_tensor_value_info(layout.count, onnx.TensorProto.INT64, [1]))
    outputs = _outputs(layout, leaving)
    outputs += [
        helper.make_tensor_value_info(f"spikes/{name}", between, [steps, "batch", *layer.shape])
        for name, layer in spiking(graph).items()
    ]
    return inputs, outputs


def _step_ends(layout: Step) -> tuple[Infos, Infos]:
    """Write one step; its inputs and outputs."""
    graph = layout.graph
    layout.run()
    between, entering, leaving = _kinds(graph, layout.builder)
    inputs = [
        helper.make_tensor_value_info("input", entering, ["batch", *graph.shapes[graph.input]]),
        helper.make_tensor_value_info("t", onnx.TensorProto.INT64, []),
    ]
    outputs = _outputs(layout, leaving)
    outputs += [
        helper.make_tensor_value_info(f"spikes/{name}", between, ["batch", *layer.shape])
        for name, layer in spiking(graph).items()
    ]
    return inputs + infos(layout.states, out=False), outputs + infos(layout.states, out=True)


def _outputs(layout: Layout, kind: int) -> Infos:
    shapes = layout.graph.shapes
    return [helper.make_tensor_value_info(to, kind, ["batch", *shapes[node]]) for node, to in layout.leaving.items()]


def _kinds(graph: Graph, builder: Builder) -> tuple[int, int, int]:
    """Element types: between nodes, of the samples, of the output."""
    between = helper.np_dtype_to_tensor_dtype(builder.dtype)
    if isinstance(graph.arithmetic, Real):
        return between, between, between
    return between, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def _facts(graph: Graph, layout: Layout, time: Time) -> facts_.Facts:
    nodes = []
    types = {tensor.name: tensor.data_type for tensor in layout.builder.model.graph.initializer}
    for name, node in graph.nodes.items():
        facts, arrays = facts_.node_facts(node)
        places = placed(arrays, layout.stored[name], types)
        nodes.append({"name": name, "facts": facts, "arrays": places})
    return facts_.graph_facts(graph) | {
        "version": facts_.VERSION,
        "time": time,
        "nodes": nodes,
        "edges": [list(edge) for edge in graph.edges],
    }


def taken_apart(model: onnx.ModelProto, arrays: Mapping[str, Array]) -> tuple[Graph, tuple[Finding, ...]] | None:
    """The graph that the model was built from, and what to know of it; None where it carries no such metadata or is no
    longer that model.

    ``arrays`` are the model's initialisers by name.
    """
    texts = {prop.key: prop.value for prop in model.metadata_props}
    if KEY not in texts:
        return None
    about = reading.json_value(texts[KEY])
    if about["version"] != facts_.VERSION:
        return None
    for name, hint in {"version": int, "time": Time, "nodes": list[dict[str, Any]], "edges": list[list[str]]}.items():
        require_type(name, about[name], hint)
    nodes = {}
    for entry in about["nodes"]:
        values = {key: array_of(place, arrays) for key, place in entry["arrays"].items()}
        nodes[entry["name"]] = facts_.node_from(entry["facts"], values)
    raw = {t.name: arrays[t.name] for t in model.graph.initializer if t.HasField("raw_data") and not t.data_location}
    if DIGEST in about and about[DIGEST] != _digest(model, raw):  # files of 0.1 have none
        return None
    graph = facts_.graph_from(about, nodes, [(a, b) for a, b in about["edges"]])
    if not _holds_what_it_claims(model, graph, about["time"], arrays):
        return None
    portable, inline = about.get("portable") is True, about.get("inline") is True
    for written, old, findings in _habits(graph):
        if _same(model, build(written, about["time"], hollow=True, old=old, portable=portable, inline=inline)):
            return graph, findings
    return None


def _habits(graph: Graph) -> Iterator[tuple[Graph, bool, tuple[Finding, ...]]]:
    """What may stand in a file for a graph: what this version writes, then what 0.1 wrote."""
    yield graph, False, ()
    if not isinstance(graph.arithmetic, Loihi):
        yield graph, True, ()
        return
    yield graph, True, (OLD,)
    if graph.arithmetic.profile.state_bits != STATE_BITS_0_1:
        late = _saturates_late(graph.arithmetic.profile)
        wide = graph.with_(arithmetic=Loihi(replace(graph.arithmetic.profile, state_bits=STATE_BITS_0_1)))
        yield wide, True, (late, OLD)


OLD = Finding(
    "SP256",
    "its operators are those of spikeport 0.1",
    why="onnxruntime computes some of them wrongly at the ends of their range; here it runs exactly.",
    mend="export it again",
    severity="note",
)


def _saturates_late(profile: Profile) -> Finding:
    return Finding(
        "SP255",
        f"its operators saturate at {STATE_BITS_0_1} bits, the profile {profile.name!r} has {profile.state_bits}",
        why="spikeport 0.1 wrote it so; here it runs as the profile says, another runtime gives other spikes.",
        mend="export it again",
        severity="note",
    )


def _holds_what_it_claims(model: onnx.ModelProto, graph: Graph, time: str, arrays: Mapping[str, Array]) -> bool:
    """Whether what building again makes beside the network's arrays can be in the file: sum pools, unrolled steps."""
    ones = [
        int(graph.input_shape(name)[0]) * math.prod(node.kernel)
        for name, node in graph.nodes_of(Pool).items()
        if node.kind == "sum"
    ]
    sizes = sum(array.size for array in arrays.values())
    steps = len(model.graph.node) + sum(len(function.node) for function in model.functions)
    return max(ones, default=0) <= sizes and (time != "unroll" or graph.timesteps <= steps)


def _same(model: onnx.ModelProto, again: onnx.ModelProto) -> bool:
    """Whether two models agree but for the data that the second leaves out."""

    def parts(one: onnx.ModelProto) -> list[Any]:
        functions = sorted(one.functions, key=lambda function: function.name)
        return [
            list(one.graph.node),
            list(one.graph.input),
            list(one.graph.output),
            functions,
            sorted((opset.domain, opset.version) for opset in one.opset_import),
        ]

    def tensors(one: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in one.graph.initializer}

    if parts(model) != parts(again):
        return False
    present, built = tensors(model), tensors(again)
    if set(present) != set(built):
        return False
    for name, tensor in built.items():
        other = present[name]
        if (other.data_type, list(other.dims)) != (tensor.data_type, list(tensor.dims)):
            return False
        if tensor.HasField("raw_data") and other.raw_data != tensor.raw_data:
            return False
    return True
