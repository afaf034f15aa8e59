"""Random graphs of every kind go through ONNX: valid, equal to the engine in every spike, and back to the bit.

The strategy's numbers are short binary fractions, so that every sum is exact and no rounding can excuse a spike.
"""

from __future__ import annotations

import numpy as np
import onnx as peer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime import InferenceSession, SessionOptions

from spikeport.comparison.parity import parity
from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.formats import onnx
from spikeport.graph import LIF, CubaLIF, Delay, Flatten, Input, Norm, Pool, Scale, Synapse
from spikeport.target import Request
from spikeport_targets.onnxruntime import OnnxRuntime
from strategies import graphs, samples


@settings(max_examples=60)
@given(graph=graphs(odd_bits=True, outputs=True), time=st.sampled_from(["scan", "unroll", "step"]))
def test_every_graph_comes_back_to_the_bit(graph, time, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "random.onnx"
    onnx.write(graph, path, "scan" if graph.recurrent and time == "unroll" else time)
    again, findings = onnx.read(path)
    assert again == graph
    assert (list(again.nodes), again.edges, findings) == (list(graph.nodes), graph.edges, ())


def valid(model):
    peer.checker.check_model(model, full_check=True)
    peer.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def equal(graph, outputs, expected):
    np.testing.assert_array_equal(outputs["output"], expected.outputs)
    for name in graph.nodes_of(LIF):
        np.testing.assert_array_equal(outputs[f"spikes/{name}"], expected.trains[name].unpack())


@pytest.mark.parametrize("arithmetic", ["float32", "loihi"])
@settings(max_examples=25)
@given(data=st.data())
def test_onnxruntime_fires_the_engines_spikes(arithmetic, data):
    graph = data.draw(graphs(arithmetic=arithmetic))
    x = samples(graph, data.draw(st.integers(0, 99)))
    time = data.draw(st.sampled_from(["scan"] if graph.recurrent else ["scan", "unroll"]))
    model = onnx.build(graph, time)
    valid(model)
    names = [output.name for output in model.graph.output]
    outputs = dict(zip(names, session(model).run(names, {"input": x}), strict=True))
    equal(graph, outputs, simulate(graph, x, Request(trains=True)))


@pytest.mark.parametrize("arithmetic", ["float32", "loihi"])
@settings(max_examples=30)
@given(data=st.data())
def test_single_steps_with_their_states_add_up_to_the_whole(arithmetic, data):
    graph = data.draw(graphs(arithmetic=arithmetic))
    x = samples(graph, 5)
    model = onnx.build(graph, "step")
    valid(model)
    run = session(model)
    shapes = {info.name: [3 if n == "batch" else n for n in info.shape] for info in run.get_inputs()}
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
    kinds = {info.name: types[info.type] for info in run.get_inputs()}
    states = {n: np.zeros(shapes[n], kinds[n]) for n in shapes if n.split("/")[0] in ("v", "i", "past")}
    node = graph.nodes[graph.input]
    names = [info.name for info in run.get_outputs()]
    steps = []
    for t in range(graph.timesteps):
        frame = x[t] if isinstance(node, Input) and node.coding == "events" else x
        given_ = {"input": frame, "t": np.asarray(t, np.int64)} | states
        out = dict(zip(names, run.run(names, {n: v for n, v in given_.items() if n in shapes}), strict=True))
        states = {n: out[n.replace("/", "_out/", 1)] for n in states}
        steps.append(out)
    outputs = {n: np.stack([out[n] for out in steps]) for n in names if n.startswith("spikes/")}
    equal(graph, outputs | {"output": sum(out["output"] for out in steps)}, simulate(graph, x, Request(trains=True)))
    layers = graph.nodes_of(LIF).values()
    expected = len(layers) + sum(isinstance(n, CubaLIF) for n in layers) + len(graph.nodes_of(Delay))
    assert len(states) == expected


def session(model):
    options = SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@settings(max_examples=30)
@given(graph=graphs(arithmetic="float32", odd_bits=True, delays=False), seed=st.integers(0, 99))
def test_arbitrary_numbers_differ_by_rounding_only(graph, seed):
    """Weights of any bits: onnxruntime may sum in another order, and that explains every spike that differs."""
    x = np.random.default_rng(seed).normal(size=samples(graph).shape).astype(np.float32)
    record = OnnxRuntime().run(graph, x, Request(trains=True))
    judgement = parity(record, simulate(graph, x, Request(trains=True)), margins(graph, x, record), judged=record)
    assert judgement.mismatches_above_rounding == 0
    assert judgement.spikes_compared > 0


@settings(max_examples=20)
@given(graph=graphs(arithmetic="float32"), time=st.sampled_from(["scan", "step"]))
def test_operators_have_names_of_their_own_that_begin_with_their_nodes(graph, time):
    """What a viewer shows: no operator without a name, none twice, and each layer found under its own name."""
    model = onnx.build(graph, time)
    bodies = [model.graph.node, *(a.g.node for n in model.graph.node for a in n.attribute if n.op_type == "Scan")]
    for body in bodies:
        names = [node.name for node in body]
        assert all(names)
        assert len(set(names)) == len(names)
    every = {node.name for body in bodies for node in body}
    for name, node in graph.nodes.items():
        if isinstance(node, Synapse | Pool | Flatten | Scale | Norm) and name not in (
            "input",
            "output",
            "t",
            "timesteps",
        ):
            assert name in every or not name or any(n.startswith(f"{name}_") for n in every)
        if isinstance(node, LIF):
            assert f"spikes/{name}" in every
