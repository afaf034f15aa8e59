"""ONNX models of our own: valid, run by onnxruntime with the engine's spikes, and back to the same Graph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx as peer
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.graph import LIF, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Norm, Pool, Readout, Real, Scale
from spikeport.target import Request
from spikeport_targets.onnxruntime import OnnxRuntime

f4 = np.float32
T = 4


def chain(extra_edges=(), **nodes):
    return Graph(nodes, (*pairwise(nodes), *extra_edges), timesteps=T)


def coarse(rng, *shape):
    """Weights in sixteenths: every sum is exact, so that no rounding can move a spike."""
    return (rng.integers(-16, 17, shape) / 16).astype(f4)


@pytest.fixture
def graph():
    rng = np.random.default_rng(7)
    nodes = {
        "input/": Input((2, 8, 8)),
        "output": Conv(coarse(rng, 4, 2, 3, 3), coarse(rng, 4), padding=(1, 1)),
        "lif.ä": LIF((4, 8, 8), decay=f4(0.5), threshold=np.asarray([1, 0.5, 0.75, 1.5], f4)),
        "conv": Conv(coarse(rng, 4, 1, 3, 5), None, padding=(1, 2), groups=4),
        "lif2": LIF((4, 8, 8), decay=np.asarray([0.5, 0.25, 0, 1], f4), threshold=np.full((T, 4), 0.75, f4)),
        "later": Delay((4, 8, 8), 2),
        "pool": Pool("average", (2, 2), (2, 2)),
        "sum": Pool("sum", (3, 1), (1, 1), (1, 0)),
        "norm": Norm(coarse(rng, 4), coarse(rng, 4), np.zeros(4, f4), np.ones(4, f4), eps=0.0, scale=0.5),
        "twice": Scale(np.asarray([2, 1, 0.5, 1], f4)),
        "flat": Flatten(),
        "fc": Linear(coarse(rng, 10, 64)),
        "cuba": CubaLIF(
            (10,),
            decay=f4(0.25),
            current_decay=f4(0.5),
            threshold=np.ones(T, f4),
            reset="subtract",
            compare=">",
            gain=f4(0.5),
            bias=coarse(rng, 10),
        ),
        "fc2": Linear(coarse(rng, 5, 10), coarse(rng, 5)),
        "value": LIF((5,), decay=f4(0.5), threshold=np.ones(T, f4), reset="value", reset_value=f4(-0.25)),
        "free": LIF((5,), decay=f4(1), threshold=np.linspace(0.5, 2, T).astype(f4), reset="none"),
        "out": Readout((5,), np.asarray([0.5, 0.25, 0.125, 0.125], f4), coarse(rng, 5)),
    }
    return chain([("lif.ä", "lif2"), ("output", "lif2")], **nodes)


@pytest.fixture
def samples():
    return coarse(np.random.default_rng(1), 21, 2, 8, 8)


@pytest.mark.parametrize("time", ["scan", "unroll"])
def test_a_model_is_valid_and_comes_back_to_the_bit(graph, tmp_path, time):
    path = tmp_path / "model.onnx"
    onnx.write(graph, path, time)
    model = peer.load(path)
    peer.checker.check_model(model, full_check=True)
    inferred = peer.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    known = {info.name for info in (*inferred.graph.value_info, *inferred.graph.output)}
    assert {output for node in model.graph.node for output in node.output} == known
    again, findings = onnx.read(path)
    assert again == graph
    assert (list(again.nodes), again.edges, findings) == (list(graph.nodes), graph.edges, ())
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("time", ["scan", "unroll", "step"])
def test_functions_hold_what_every_onnxruntime_infers_shapes_of(graph, time):
    """Before 1.25 it knows none behind an operator that is itself a function; 1.20 mixes up nodes without names."""
    model = onnx.build(graph, time)
    assert (model.ir_version, {opset.domain: opset.version for opset in model.opset_import}) == (
        8,
        {"": 17, "spikeport.snn": 1},
    )
    nodes = [node for function in model.functions for node in function.node]
    nodes += [inner for node in nodes for attribute in node.attribute for inner in attribute.g.node]
    assert all(node.name for node in nodes)
    schemas = [peer.defs.get_schema(node.op_type, 17) for node in nodes]
    assert not [schema.name for schema in schemas if schema.has_function or schema.has_context_dependent_function]


@pytest.mark.parametrize("time", ["scan", "unroll", "step"])
def test_the_file_written_tensor_by_tensor_is_the_model(graph, tmp_path, time):
    """Onnx's own reader finds the whole model in it, as protobuf's own serialisation holds it."""
    onnx.write(graph, tmp_path / "a.onnx", time)
    model = onnx.build(graph, time)
    assert peer.load(tmp_path / "a.onnx") == model
    assert (tmp_path / "a.onnx").stat().st_size == model.ByteSize()


def test_a_model_beyond_what_protobuf_holds_is_refused(graph, tmp_path, monkeypatch):
    from spikeport.formats.onnx import file as onnx_file

    monkeypatch.setattr(onnx_file, "LARGEST", 1000)
    assert code(lambda: onnx.write(graph, tmp_path / "a.onnx")) == "SP206"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("time", ["scan", "unroll"])
def test_one_call_a_neuron_layer(graph, time):
    calls = [node.name for node in onnx.build(graph, time).graph.node if node.domain == "spikeport.snn"]
    assert calls == [f"spikes/{name}" for name in graph.nodes_of(LIF)]


@pytest.mark.parametrize("time", ["scan", "unroll"])
def test_onnxruntime_and_onnxs_own_evaluator_fire_the_engines_spikes(graph, samples, time):
    """Numbers are chosen so that every sum is exact: no spike may differ, whatever the order of summation."""
    from onnx.reference import ReferenceEvaluator
    from onnxruntime import InferenceSession

    expected = simulate(graph, samples, Request(trains=True))
    model = onnx.build(graph, time)
    names = [output.name for output in model.graph.output]
    for run in (InferenceSession(model.SerializeToString()).run, ReferenceEvaluator(model).run):
        outputs = dict(zip(names, run(names, {"input": samples}), strict=True))
        np.testing.assert_array_equal(outputs["output"], expected.outputs)
        for name in graph.nodes_of(LIF):
            train = expected.trains[name].unpack()
            assert 0 < train.sum() < train.size
            np.testing.assert_array_equal(outputs[f"spikes/{name}"], train)


def test_the_target_records_what_the_engine_records(graph, samples):
    expected = simulate(graph, samples, Request(trains=True))
    seen = []
    request = Request(trains=True, batch=10, progress=lambda done, total: seen.append((done, total)))
    record = OnnxRuntime().run(graph, samples, request)
    assert seen == [(10, 21), (20, 21), (21, 21)]
    assert record.neurons == expected.neurons
    np.testing.assert_array_equal(record.outputs, expected.outputs)
    for name in expected.trains:
        np.testing.assert_array_equal(record.spike_counts[name], expected.spike_counts[name])
        np.testing.assert_array_equal(record.trains[name].unpack(), expected.trains[name].unpack())


def test_event_frames_enter_step_by_step(samples):
    nodes = {
        "in": Input((2,), coding="events"),
        "fc": Linear(np.asarray([[1, -1], [0.5, 0.5]], f4)),
        "lif": LIF((2,), decay=f4(0.5), threshold=np.asarray([1, 2, 1, 0.5], f4)),
    }
    graph = chain(**nodes)
    frames = coarse(np.random.default_rng(3), T, 9, 2) * 4
    expected = simulate(graph, frames)
    record = OnnxRuntime().run(graph, frames, Request())
    np.testing.assert_array_equal(record.outputs, expected.outputs)  # spike counts, since there is no readout


def test_float64_is_kept_and_what_onnxruntime_lacks_is_said(graph, tmp_path):
    double = graph.with_(arithmetic=Real("float64"))
    onnx.write(double, tmp_path / "a.onnx")
    assert onnx.read(tmp_path / "a.onnx")[0] == double
    findings = OnnxRuntime().check(double)
    assert {finding.code for finding in findings} == {"SP260"}
    assert {finding.where for finding in findings} == {f"node {name!r}" for name in ("output", "conv", "pool", "sum")}


def code(build):
    with pytest.raises(SpikeportError) as caught:
        build()
    return caught.value.code


def test_files_that_are_no_onnx_get_one_error(graph, tmp_path):
    path = tmp_path / "x.onnx"
    assert code(lambda: onnx.read(path)) == "SP201"
    assert code(lambda: onnx.read(tmp_path)) == "SP201"
    path.write_bytes(b"")
    assert code(lambda: onnx.read(path)) == "SP201"
    path.write_bytes(b"\x89HDF\r\n\x1a\n something else")
    assert code(lambda: onnx.read(path)) == "SP250"
    onnx.write(graph, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert code(lambda: onnx.read(path)) == "SP250"
    assert code(lambda: onnx.write(graph, tmp_path / "no" / "a.onnx")) == "SP201"
    assert [file.name for file in tmp_path.iterdir()] == ["x.onnx"]
