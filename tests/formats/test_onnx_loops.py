"""ONNX models with loops over time, as torch.jit.script and torch's scan leave them, against onnxruntime."""

from __future__ import annotations

import warnings

import numpy as np
import onnx as peer
import pytest
import torch
from onnxruntime import InferenceSession, SessionOptions

from exported import export
from scripted_modules import SCRIPTED, Early, Silenced, Stepped, T
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.verbs.load import load_model


def scripted(kind, shape, path, open_axes=None):
    """A module compiled by torch.jit.script and exported; ``open_axes`` keep no size."""
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it wants to give torch.jit.script up
        module = torch.jit.script(kind().eval())
    export(module, torch.randn(shape), path, newer=False, open_axis=open_axes)
    return path


def sessions(path):
    options = SessionOptions()
    options.log_severity_level = 4  # of the shapes that torch notes wrongly for lists
    return InferenceSession(path, options)


def equal(graph, path, shape):
    """Outputs are onnxruntime's on samples of several sizes, and neurons fire."""
    session, random, spikes = sessions(path), np.random.default_rng(0), 0
    time = graph.provenance.get("time_axis", 0)
    for scale in (0.5, 1, 2, 4, 8):
        x = (random.standard_normal(shape) * scale).astype(np.float32)
        theirs = session.run(None, {session.get_inputs()[0].name: x})[0]
        theirs = theirs if theirs.ndim == 2 else theirs.mean(0)  # over time, of which the mean is read out
        ours = simulate(graph, np.ascontiguousarray(np.moveaxis(x, time, 0)))
        np.testing.assert_allclose(ours.outputs, theirs, rtol=1e-5, atol=1e-6)
        spikes += sum(int(count.sum()) for count in ours.spike_counts.values())
    assert spikes > 0


@pytest.mark.parametrize("name", SCRIPTED)
def test_a_loop_over_time_is_its_network(name, tmp_path):
    """As it was exported, with an open batch, and with an open number of steps, which is asked for."""
    kind, one, axis = SCRIPTED[name]
    path, time = tmp_path / "a.onnx", 1 - axis
    several = tuple(3 if at == axis else size for at, size in enumerate(one))
    for open_axes, shape in (((), one), ((axis,), several)):
        model = load_model(scripted(kind, one, path, open_axes))
        assert model.findings[0].code == "SP259"
        assert any(each.op_type == "Loop" for each in peer.load(path).graph.node)
        assert model.graph.timesteps == T
        equal(model.graph, path, shape)
    scripted(kind, one, path, (0, 1))
    with pytest.raises(SpikeportError, match=rf"(?s)axis {time} of its input .* pass timesteps=T") as caught:
        load_model(path)
    assert [finding.code for finding in caught.value.findings] == ["SP384"]
    graph = load_model(path, timesteps=T + 2).graph
    assert graph.timesteps == T + 2
    equal(graph, path, tuple(T + 2 if at == time else size for at, size in enumerate(several)))


@pytest.mark.parametrize(("kind", "operator"), [(Early, "Loop"), (Silenced, "If")])
def test_what_values_of_the_input_decide_is_refused_by_name(kind, operator, tmp_path):
    path = scripted(kind, (T, 1, 12), tmp_path / "a.onnx")
    with pytest.raises(SpikeportError, match=f"operator '/{operator}': {operator} goes by values of the input"):
        load_model(path)


class Scanned(Stepped):
    """torch's scan, which torch.export keeps."""

    def forward(self, x):
        from torch._higher_order_ops import scan

        def step(v, frame):
            v = 0.9 * v + self.fc(frame)
            z = (v > 0.5).to(v.dtype)
            return v * (1 - z), self.last(z)

        return scan(step, torch.zeros(x.size(1), 8), x)[1].sum(0)


@pytest.mark.slow
def test_torchs_scan_is_its_network(tmp_path):
    pytest.importorskip("onnxscript")
    torch.manual_seed(3)
    path = export(Scanned(), torch.randn(T, 1, 12), tmp_path / "a.onnx", newer=True)
    assert any(each.op_type == "Scan" for each in peer.load(path).graph.node)
    equal(load_model(path).graph, path, (T, 1, 12))


@pytest.mark.parametrize("name", ["a list of membranes", "maps", "recurrent"])
def test_our_own_scans_without_functions_and_metadata_are_read_back_to_the_bit(name, tmp_path):
    """Of one Scan a layer, and of one around a recurrent network."""
    kind, shape, _ = SCRIPTED[name]
    graph, path = load_model(scripted(kind, shape, tmp_path / "a.onnx")).graph, tmp_path / "b.onnx"
    onnx.write(graph, path, inline=True)
    model = peer.load(path)
    del model.metadata_props[:]
    assert any(each.op_type == "Scan" for each in model.graph.node)
    peer.save(model, path)
    again = load_model(path, timesteps=T)
    assert {finding.code for finding in again.findings} == {"SP259"}
    frames = (T, 4, *graph.shapes[graph.input])
    x = np.random.default_rng(1).standard_normal(frames).astype(np.float32) * 2
    before, after = simulate(graph, x), simulate(again.graph, x)
    assert min(int(count.sum()) for count in before.spike_counts.values()) > 0
    np.testing.assert_array_equal(before.outputs, after.outputs)
