"""ONNX models that run any number of steps: where schedules say how they go on, and where they never change.

What such a model computes is the engine's run of the graph extended to as many steps (`passes.extend`).
"""

from __future__ import annotations

import numpy as np
import onnx as peer
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import inliner
from onnxruntime import InferenceSession, SessionOptions

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.graph import LIF, Delay, Graph, Input, Linear, Readout
from spikeport.passes.extend import extend
from spikeport.target import Request
from strategies import graphs, liftable, samples

f4 = np.float32


def constant(graph):
    """The graph with the first entry of each schedule at every step, and nothing said about later steps."""
    changes = {
        name: node.with_(threshold=np.repeat(node.threshold[:1], graph.timesteps, 0))
        for name, node in graph.nodes_of(LIF).items()
    }
    changes |= {
        name: node.with_(weight=np.repeat(node.weight[:1], graph.timesteps, 0))
        for name, node in graph.nodes_of(Readout).items()
    }
    return graph.replace(changes)


def session(model):
    options = SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def fed(graph, x, steps):
    direct = graph.nodes[graph.input].coding == "direct"
    return {"input": x} | ({"timesteps": np.array([steps])} if direct else {})


def kept(graph, steps):
    """A graph whose schedules never change over ``steps`` steps, its readout with the weights that it has."""
    longer = extend(graph.with_(after_end="hold"), steps)
    readouts = {name: node.weight[:1] for name, node in graph.nodes_of(Readout).items()}
    return longer.replace({n: longer[n].with_(weight=np.repeat(w, steps, 0)) for n, w in readouts.items()})


def follows_length(graph):
    return any(node.follows_length for node in graph.nodes_of(Readout).values())


def equal(model, graph, longer):
    """Outputs and every spike of the model over the steps of ``longer`` are those of the engine on that."""
    steps = longer.timesteps
    x = samples(longer, 7)
    names = [output.name for output in model.graph.output]
    outputs = dict(zip(names, session(model).run(names, fed(graph, x, steps)), strict=True))
    expected = simulate(longer, x, Request(trains=True))
    np.testing.assert_array_equal(outputs["output"], expected.outputs)
    for name in graph.nodes_of(LIF):
        assert outputs[f"spikes/{name}"].shape[0] == steps
        np.testing.assert_array_equal(outputs[f"spikes/{name}"], expected.trains[name].unpack())


@pytest.mark.parametrize("arithmetic", ["float32", "loihi"])
@settings(max_examples=40)
@given(data=st.data())
def test_a_free_model_runs_any_number_of_steps_as_the_engine_does(arithmetic, data, tmp_path_factory):
    """Recurrent and not, event frames and direct coding, shorter and longer than the graph's own T."""
    graph = data.draw(graphs(arithmetic=arithmetic))
    how = data.draw(st.sampled_from(["constant", "hold", "cycle"]))
    assume(how == "constant" or not follows_length(graph))
    graph = constant(graph) if how == "constant" else graph.with_(after_end=how)
    path = tmp_path_factory.getbasetemp() / "free.onnx"
    assert onnx.write(graph, path) == ()
    model = peer.load(path)
    peer.checker.check_model(model, full_check=True)
    peer.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    again, findings = onnx.read(path)
    assert (again, again.timesteps, again.after_end, findings) == (graph, graph.timesteps, graph.after_end, ())
    for steps in (1, graph.timesteps, graph.timesteps + 3):
        equal(model, graph, kept(graph, steps) if how == "constant" else extend(graph, steps))


@settings(max_examples=40)
@given(graph=graphs(arithmetic="float32", recurrent=False), how=st.sampled_from(["hold", "cycle"]))
def test_without_metadata_the_operators_say_how_schedules_go_on(graph, how, tmp_path_factory):
    assume(liftable(graph) and not follows_length(graph))
    graph = graph.with_(after_end=how)
    model = onnx.build(graph)
    del model.metadata_props[:]
    path = tmp_path_factory.getbasetemp() / "bare.onnx"
    peer.save(model, path)
    again, _ = onnx.read(path)
    assert (again.timesteps, again.after_end) == (graph.timesteps, how)
    longer = graph.timesteps + 2
    x = samples(extend(graph, longer), 1)
    one, other = (simulate(extend(g, longer), x, Request(trains=True)) for g in (graph, again))
    np.testing.assert_array_equal(one.outputs, other.outputs)
    for before, after in zip(graph.nodes_of(LIF), again.nodes_of(LIF), strict=True):
        np.testing.assert_array_equal(one.trains[before].unpack(), other.trains[after].unpack())


def small(coding="events", after_end="error", threshold=(1.0, 2.0, 0.5), weight=(1, 1, 1)):
    nodes = {
        "in": Input((2,), coding),
        "fc": Linear(np.asarray([[1, 0.5], [0.5, 1]], f4)),
        "lif": LIF((2,), f4(0.5), np.asarray(threshold, f4)),
        "past": Delay((2,), 5),
        "out": Readout((2,), np.asarray(weight, f4)),
    }
    return Graph.chain(nodes, 3, after_end=after_end)


def axes(model):
    return {
        info.name: [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]
        for info in (*model.graph.input, *model.graph.output)
    }


@pytest.mark.parametrize("changes", [{}, {"threshold": (1, 1, 1), "weight": (1, 2, 3)}])
def test_a_schedule_that_changes_fixes_the_number_of_steps_and_a_note_says_so(changes, tmp_path):
    graph = small(**changes)
    (finding,) = onnx.write(graph, tmp_path / "a.onnx")
    assert (finding.code, finding.severity) == ("SP254", "note")
    assert ("'lif'" if not changes else "readout") in finding.why
    model = peer.load(tmp_path / "a.onnx")
    assert axes(model)["input"] == [3, "batch", 2]
    with pytest.raises(Exception, match="invalid dimensions"):
        session(model).run(["output"], {"input": np.ones((4, 1, 2), f4)})


def test_the_free_axis_is_named_and_unrolled_models_have_none():
    graph = small(after_end="hold")
    assert axes(onnx.build(graph))["input"] == ["timesteps", "batch", 2]
    assert axes(onnx.build(graph))["spikes/lif"] == ["timesteps", "batch", 2]
    assert axes(onnx.build(graph, "unroll"))["input"] == [3, "batch", 2]


def test_direct_coding_takes_the_number_of_steps_or_the_graphs_own():
    graph = small("direct", "cycle")
    model = onnx.build(graph)
    assert axes(model)["timesteps"] == [1]
    x = np.asarray([[1.0, 0.25], [0.5, 2.0]], f4)
    for feed, steps in (({}, 3), ({"timesteps": np.array([8])}, 8)):
        output, spikes = session(model).run(["output", "spikes/lif"], {"input": x} | feed)
        expected = simulate(extend(graph, steps), x, Request(trains=True))
        np.testing.assert_array_equal(output, expected.outputs)
        np.testing.assert_array_equal(spikes, expected.trains["lif"].unpack())


def test_inlined_models_keep_the_free_axis():
    graph = small(after_end="hold")
    equal(inliner.inline_local_functions(onnx.build(graph)), graph, extend(graph, 7))


def test_a_stream_of_single_steps_goes_on_as_the_schedule_says():
    """`step` with t beyond the graph's own steps; a graph that does not say how fails there."""
    graph = small(after_end="cycle")
    x = samples(extend(graph, 8), 3)
    run = session(onnx.build(graph, "step"))
    states = {"v/lif": np.zeros((3, 2), f4), "past/past": np.zeros((5, 3, 2), f4)}
    spikes = []
    for t in range(8):
        fired, *ends = run.run(
            ["spikes/lif", "v_out/lif", "past_out/past"], {"input": x[t], "t": np.asarray(t)} | states
        )
        states = dict(zip(states, ends, strict=True))
        spikes.append(fired)
    expected = simulate(extend(graph, 8), x, Request(trains=True)).trains["lif"].unpack()
    np.testing.assert_array_equal(np.stack(spikes), expected)
    fixed = session(onnx.build(small(), "step"))
    with pytest.raises(Exception, match="element out of data bounds"):
        fixed.run(["spikes/lif"], {"input": x[0], "t": np.asarray(3)} | states)


@pytest.mark.parametrize("kind", ["Range", "Gather", "Min", "Concat"])
def test_numbers_of_steps_that_are_something_else_are_refused(kind, tmp_path):
    model = onnx.build(small("direct", "hold"))
    del model.metadata_props[:]
    (node,) = [node for node in model.graph.node if node.op_type == kind][:1]
    model.graph.initializer.append(peer.numpy_helper.from_array(np.array(2**40), "other"))
    node.input[1] = "other"
    peer.save(model, tmp_path / "a.onnx")
    with pytest.raises(SpikeportError) as caught:
        onnx.read(tmp_path / "a.onnx")
    assert caught.value.code in ("SP250", "SP251")
