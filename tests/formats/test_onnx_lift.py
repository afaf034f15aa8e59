"""ONNX that is not ours any more, or never was: ordinary operators around our neuron functions become a Graph."""

from __future__ import annotations

import numpy as np
import onnx as peer
import pytest
from hypothesis import assume, given, settings
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.formats.onnx.neuron_functions import function
from spikeport.graph import LIF, Conv, Linear, Norm, Pool, Readout
from spikeport.passes.fold_norm import fold_norm
from spikeport.target import Request
from strategies import graphs, liftable, samples

f4 = np.float32
T, B = 4, 5


def bare(graph, folder):
    """A file of the graph whose metadata is gone."""
    model = onnx.build(graph)
    del model.metadata_props[:]
    return saved(model, folder / "bare.onnx")


@settings(max_examples=60)
@given(graph=graphs(arithmetic="float32", recurrent=False))
def test_without_metadata_the_operators_say_the_same(graph, tmp_path_factory):
    """Every spike and output as before; only names and unused facts may differ."""
    assume(liftable(graph))
    again, findings = onnx.read(bare(graph, tmp_path_factory.getbasetemp()))
    assert [finding.code for finding in findings] == ["SP252"]
    x = samples(graph, 1)
    before, after = (simulate(g, x, Request(trains=True)) for g in (graph, again))
    np.testing.assert_array_equal(before.outputs, after.outputs)
    assert len(before.trains) == len(after.trains)
    for one, other in zip(graph.nodes_of(LIF), again.nodes_of(LIF), strict=True):
        np.testing.assert_array_equal(before.trains[one].unpack(), after.trains[other].unpack())


def coarse(*shape, seed=0):
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 16).astype(f4)


def by_hand(extra=(), calls=1):
    """A model as another exporter would write it: MatMul + Add, BatchNormalization, residual Add, global pool."""
    lif = function(LIF((4, 6, 6), f4(0.5), np.ones(T, f4)), "scan", np.dtype(f4))
    arrays = {
        "w1": coarse(4, 2, 3, 3),
        "w2": coarse(4, 4, 3, 3, seed=1),
        "gamma": coarse(4, seed=2),
        "beta": coarse(4, seed=3),
        "mean": coarse(4, seed=4),
        "var": np.ones(4, f4),
        "w3": coarse(4, 3, seed=5),
        "b3": coarse(3, seed=6),
        "decay": f4(0.5),
        "theta": np.array([1, 0.5, 0.75, 1], f4).reshape(T, 1, 1, 1, 1),
        "one": f4(1),
        "zero": f4(0),
        "flat": np.array([-1, 4, 6, 6]),
        "steps": np.array([T, -1, 4, 6, 6]),
        "out": np.array([T, -1, 3]),
        "row": np.array([0]),
        "time": np.array([T, 1, 1, 1, 1]),
        "half": f4(0.5),
        "rows": np.array([0, -1]),
    }

    def op(kind, inputs, output, **attributes):
        return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)

    pads = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
    nodes = [
        op("Conv", "image w1", "c1", **pads),
        op("Unsqueeze", "c1 row", "c1r"),
        op("Expand", "c1r time", "c1t"),
        op("LIF", "c1t decay theta one zero zero", "s1", domain="spikeport.snn"),
        op("Reshape", "s1 flat", "s1f"),
        op("Conv", "s1f w2", "c2", **pads),
        op("BatchNormalization", "c2 gamma beta mean var", "n2", epsilon=0.0),
        op("Mul", "n2 half", "m2"),
        op("Dropout", "m2", "d2"),
        op("Add", "d2 s1f", "a2"),
        op("Add", "a2 s1f", "a3"),
        op("Reshape", "a3 steps", "a2t"),
        op("LIF", "a2t decay theta one zero zero", "s2", domain="spikeport.snn"),
        op("Reshape", "s2 flat", "s2f"),
        op("GlobalAveragePool", "s2f", "p"),
        op("Reshape", "p rows", "f"),
        op("MatMul", "f w3", "mm"),
        op("Add", "mm b3", "l"),
        op("Reshape", "l out", "lt"),
        op("ReduceMean", "lt", "logits", axes=[0], keepdims=0),
        *extra,
    ]
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 2, 6, 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("spikeport.snn", 1)]
    return helper.make_model(graph, functions=[lif], opset_imports=opsets, ir_version=8)


def test_what_another_exporter_writes_is_lifted(tmp_path):
    model = by_hand()
    peer.checker.check_model(model, full_check=True)
    peer.save(model, tmp_path / "a.onnx")
    graph, _ = onnx.read(tmp_path / "a.onnx")
    kinds = [type(node) for node in graph.nodes.values()]
    assert [kinds.count(kind) for kind in (Conv, Linear, LIF, Norm, Pool, Readout)] == [2, 1, 2, 1, 1, 1]
    x = coarse(B, 2, 6, 6, seed=9)
    (expected,) = InferenceSession(model.SerializeToString()).run(["logits"], {"image": x})
    record = simulate(graph, x)
    assert all(counts.sum() > 0 for counts in record.spike_counts.values())
    np.testing.assert_allclose(record.outputs, expected, rtol=1e-6, atol=1e-6)
    folded = fold_norm(graph)  # the batch normalisation goes into the convolution before it
    assert not folded.nodes_of(Norm)
    np.testing.assert_allclose(simulate(folded, x).outputs, expected, rtol=1e-6, atol=1e-6)


def test_every_operator_without_a_place_is_named_at_once(tmp_path):
    extra = [helper.make_node(kind, ["logits"], [kind], name=f"my {kind}") for kind in ("Softmax", "Tanh", "Relu")]
    peer.save(by_hand(extra), tmp_path / "a.onnx")
    with pytest.raises(SpikeportError) as caught:
        onnx.read(tmp_path / "a.onnx")
    assert [finding.code for finding in caught.value.findings] == ["SP251"] * 3
    assert [finding.where.split("operator ")[1] for finding in caught.value.findings] == [
        "'my Softmax'",
        "'my Tanh'",
        "'my Relu'",
    ]


def test_a_function_of_our_name_that_computes_something_else_is_refused(tmp_path):
    model = by_hand()
    step = next(node for node in model.functions[0].node if node.op_type == "Scan").attribute[0].g
    next(node for node in step.node if node.op_type == "Or").op_type = "And"
    peer.save(model, tmp_path / "a.onnx")
    with pytest.raises(SpikeportError, match="was changed") as caught:
        onnx.read(tmp_path / "a.onnx")
    assert caught.value.code == "SP251"


def test_changed_weights_are_read_as_they_are_and_said(tmp_path):
    """ONNX holds everything that the spikes need in its operators, so that a change can be followed."""
    path = tmp_path / "a.onnx"
    graph, _ = onnx.read(saved(by_hand(), path))
    onnx.write(graph, path)
    model = peer.load(path)
    node = next(node for node in model.graph.node if node.op_type == "Gemm")
    node.op_type, node.attribute[0].i = "Gemm", 1
    model.graph.node.append(helper.make_node("Identity", [model.graph.output[0].name], ["again"]))
    again, findings = onnx.read(saved(model, path))
    assert "was changed" in findings[0].what
    x = coarse(B, 2, 6, 6, seed=9)
    np.testing.assert_allclose(simulate(again, x).outputs, simulate(graph, x).outputs, atol=1e-6)


@pytest.mark.parametrize("place", ["initialiser", "constant"])
def test_data_in_another_file_are_not_opened(place, tmp_path):
    """A tensor of a Constant operator too: onnx.numpy_helper.to_array would follow it out of the folder."""
    secret = tmp_path / "secret"
    secret.write_bytes(coarse(4, 2, 3, 3).tobytes())
    tensor = TensorProto(name="w1", data_type=TensorProto.FLOAT, dims=[4, 2, 3, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=f"../{tmp_path.name}/secret")
    model = by_hand()
    kept = [t for t in model.graph.initializer if t.name != "w1"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    if place == "initialiser":
        model.graph.initializer.append(tensor)
    else:
        model.graph.node.insert(0, helper.make_node("Constant", [], ["w1"], name="w1", value=tensor))
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SpikeportError, match=r"another file|no file of the model's own folder") as caught:
        onnx.read(path)
    assert caught.value.code == "SP250"


@pytest.mark.parametrize("dims", [[2**31], [2**20, 2**20], [-1], [2**62, 2**62]])
def test_tensors_that_claim_more_than_they_have_are_refused(dims, tmp_path):
    model = by_hand()
    model.graph.initializer[0].dims[:] = dims
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SpikeportError, match="damaged") as caught:
        onnx.read(path)
    assert caught.value.code == "SP250"


def saved(model, path):
    peer.save(model, path)
    return path


def test_inlined_models_run_everywhere_and_come_back_as_long_as_nobody_rewrites_them(tmp_path):
    graph, _ = onnx.read(saved(by_hand(), tmp_path / "a.onnx"))
    findings = onnx.write(graph, tmp_path / "b.onnx", inline=True)
    assert [finding.code for finding in findings] == ["SP254", "SP253"]  # its thresholds vary, and it is inlined
    model = peer.load(tmp_path / "b.onnx")
    peer.checker.check_model(model, full_check=True)
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    x = coarse(B, 2, 6, 6, seed=9)
    names = ["output", *(f"spikes/{name}" for name in graph.nodes_of(LIF))]
    output, *spikes = InferenceSession(model.SerializeToString()).run(names, {"input": x})
    record = simulate(graph, x, Request(trains=True))
    np.testing.assert_allclose(output, record.outputs, atol=1e-6)
    for fired, train in zip(spikes, record.trains.values(), strict=True):
        np.testing.assert_array_equal(fired, train.unpack())
    assert onnx.read(tmp_path / "b.onnx") == (graph, ())
    model.graph.node[-1].name += " changed"
    with pytest.raises(SpikeportError) as caught:
        onnx.read(saved(model, tmp_path / "c.onnx"))
    assert {finding.code for finding in caught.value.findings} == {"SP251", "SP258"}
    assert "neurons there are written as plain operators" in str(caught.value)


@settings(max_examples=10)
@given(graph=graphs(arithmetic="loihi", recurrent=False))
def test_integers_without_their_metadata_are_refused_by_name(graph, tmp_path_factory):
    """The bits are all there, but what a unit is worth is not."""
    path = bare(graph, tmp_path_factory.getbasetemp())
    with pytest.raises(SpikeportError) as caught:
        onnx.read(path)
    assert {finding.code for finding in caught.value.findings} <= {"SP250", "SP251", "SP258"}
    named = " ".join(finding.where for finding in caught.value.findings)
    calls = [name for name in graph.nodes_of(LIF) if repr(f"spikes/{name}") in named]
    assert calls or "SP250" in {finding.code for finding in caught.value.findings}


@pytest.mark.parametrize("kind", ["itself", "ahead"])
def test_operators_in_a_circle_are_one_error(kind, tmp_path):
    model = by_hand()
    add = next(node for node in model.graph.node if node.name == "a2")
    add.input[1] = "a2" if kind == "itself" else "a3"
    with pytest.raises(SpikeportError) as caught:
        onnx.read(saved(model, tmp_path / "a.onnx"))
    assert caught.value.code in ("SP250", "SP251")


@pytest.mark.parametrize(
    ("operator", "attributes", "why"),
    [
        ("c2", {"auto_pad": "SAME_UPPER", "pads": None}, "auto_pad"),
        ("c2", {"pads": [1, 1, 0, 0]}, "unevenly"),
        ("n2", {"kind": "LpPool", "kernel_shape": [1, 1], "epsilon": None}, "no place"),
        ("p", {"kind": "AveragePool", "kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, "out of the average"),
        ("p", {"kind": "AveragePool", "kernel_shape": [6, 6], "ceil_mode": 1}, "ceil_mode"),
        ("mm", {"kind": "Gemm", "alpha": 2.0}, "alpha"),
        ("logits", {"axes": [1]}, "axis 0"),
    ],
)
def test_uses_of_an_operator_that_a_graph_has_no_word_for_are_refused_by_name(operator, attributes, why, tmp_path):
    model = by_hand()
    node = next(node for node in model.graph.node if node.name == operator)
    attributes = dict(attributes)
    node.op_type = attributes.pop("kind", node.op_type)
    kept = [a for a in node.attribute if a.name not in attributes]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(k, v) for k, v in attributes.items() if v is not None)])
    with pytest.raises(SpikeportError) as caught:
        onnx.read(saved(model, tmp_path / "a.onnx"))
    assert {finding.code for finding in caught.value.findings} == {"SP251"}
    (finding,) = [finding for finding in caught.value.findings if f"operator {operator!r}" in finding.where]
    assert why in finding.what
