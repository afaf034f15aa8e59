"""Our own ONNX models: built from a Graph, and taken apart into the same Graph, to the bit.

The model's metadata hold what ONNX cannot say (names, shapes, units, provenance). Reading trusts them only where the
model that they describe, built again, is the model in the file; otherwise the operators are what counts.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper

from spikeport.formats import facts as facts_
from spikeport.formats.onnx_build import DOMAIN, DOMAIN_VERSION, IR_VERSION, OPSET, Builder
from spikeport.formats.onnx_graph import Layout, Time
from spikeport.graph import LIF, Array, Graph, Input, Real

KEY = "spikeport"


def build(graph: Graph, time: Time, *, hollow: bool = False) -> onnx.ModelProto:
    """The model of a graph."""
    assert isinstance(graph.arithmetic, Real)
    builder = Builder(np.dtype(graph.arithmetic.dtype), hollow)
    outputs = ["output", *(f"spikes/{name}" for name in graph.nodes_of(LIF))]
    layout = Layout(graph, builder, time)
    end = layout.run()
    kind = helper.np_dtype_to_tensor_dtype(builder.dtype)
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    lead: list[int | str] = [graph.timesteps, "batch"] if node.coding == "events" else ["batch"]
    inputs = [helper.make_tensor_value_info("input", kind, [*lead, *node.shape])]
    shapes: list[list[int | str]] = [["batch", *end.shape]]
    shapes += [[graph.timesteps, "batch", *layer.shape] for layer in graph.nodes_of(LIF).values()]
    infos = [helper.make_tensor_value_info(name, kind, shape) for name, shape in zip(outputs, shapes, strict=True)]
    body = helper.make_graph(builder.nodes, "spikeport", inputs, infos, builder.initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    model = helper.make_model(
        body, functions=list(builder.functions.values()), opset_imports=opsets, ir_version=IR_VERSION,
        producer_name="spikeport",
    )  # fmt: skip
    helper.set_model_props(model, {KEY: facts_.to_json(_facts(graph, layout))})
    return model


def _facts(graph: Graph, layout: Layout) -> facts_.Facts:
    nodes = []
    for name, node in graph.nodes.items():
        facts, arrays = facts_.node_facts(node)
        stored = layout.stored[name]
        places = {}
        for key, value in arrays.items():
            place = {"initializer": stored[key], "shape": list(value.shape)} if key in stored else {"npy": _npy(value)}
            places[key] = place
        nodes.append({"name": name, "facts": facts, "arrays": places})
    return facts_.graph_facts(graph) | {
        "version": facts_.VERSION,
        "time": layout.time,
        "nodes": nodes,
        "edges": [list(edge) for edge in graph.edges],
    }


def _npy(value: Array) -> str:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode("ascii")


def taken_apart(model: onnx.ModelProto, arrays: Mapping[str, Array]) -> Graph | None:
    """The graph that the model was built from; None where it carries no such metadata or is no longer that model.

    ``arrays`` are the model's initialisers by name.
    """
    texts = {prop.key: prop.value for prop in model.metadata_props}
    if KEY not in texts:
        return None
    about = json.loads(texts[KEY])
    if about["version"] != facts_.VERSION:
        return None
    nodes = {}
    for entry in about["nodes"]:
        values = {key: _placed(place, arrays) for key, place in entry["arrays"].items()}
        nodes[entry["name"]] = facts_.node_from(entry["facts"], values)
    graph = facts_.graph_from(about, nodes, [(a, b) for a, b in about["edges"]])
    again = build(graph, about["time"], hollow=True)
    return graph if _same(model, again) else None


def _placed(place: Mapping[str, Any], arrays: Mapping[str, Array]) -> Array:
    if "initializer" in place:
        return arrays[place["initializer"]].reshape(place["shape"])
    value = np.load(io.BytesIO(base64.b64decode(place["npy"])), allow_pickle=False)
    return np.asarray(value)


def _same(model: onnx.ModelProto, again: onnx.ModelProto) -> bool:
    """Whether two models agree but for the data that the second leaves out."""

    def parts(one: onnx.ModelProto) -> list[Any]:
        functions = sorted(one.functions, key=lambda function: function.name)
        return [list(one.graph.node), list(one.graph.input), list(one.graph.output), functions,
                sorted((opset.domain, opset.version) for opset in one.opset_import)]  # fmt: skip

    def tensors(one: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in one.graph.initializer}

    if parts(model) != parts(again):
        return False
    found, built = tensors(model), tensors(again)
    if set(found) != set(built):
        return False
    for name, tensor in built.items():
        other = found[name]
        if (other.data_type, list(other.dims)) != (tensor.data_type, list(tensor.dims)):
            return False
        if tensor.HasField("raw_data") and other.raw_data != tensor.raw_data:
            return False
    return True
