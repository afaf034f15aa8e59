"""ONNX models of other tools' modules, whose neurons are comparisons and sums at each timestep, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession

from exported import export
from exported_modules import CASES, T, spikingjelly
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import ALIF, LIF, CubaLIF
from spikeport.verbs.load import load_model


class ByStep(torch.nn.Module):
    """Frames [T, B, 12], the last of whose spikes come out."""

    def __init__(self):
        super().__init__()
        self.fc, self.last = torch.nn.Linear(12, 8), torch.nn.Linear(8, 3)

    def forward(self, x):
        v, w, spikes = 0.0, 0.0, []
        for frame in x:
            v = 0.9 * v + self.fc(frame)
            z = (v > 0.5).float()
            v = v * (1 - z)
            w = 0.8 * w + self.last(z)
            spikes.append((w > 0.2).float())
            w = w - 0.2 * spikes[-1]
        return torch.stack(spikes).sum(0)


QUICK = ("images",)  #: exported by torch.export in each run, which takes seconds; the others if slow


def made(name, *, samples=1, newer=False, folder=None, open_axis=False):
    """A case exported, its input's shape, and where the samples lie in it."""
    case = CASES[name]
    torch.manual_seed(3)
    shape, path = case.input_of(samples), folder / "model.onnx"
    export(case.build(), torch.randn(shape), path, newer=newer, open_axis=case.axis if open_axis else None)
    return path, shape, case.axis


def equal(path, shape, axis):
    """The model as loaded, after its outputs were compared with onnxruntime's on samples of several sizes."""
    model, session = load_model(path), InferenceSession(path)
    time = model.graph.provenance.get("time_axis", 0) if model.graph.provenance["forward"] == "sequence" else None
    random, spikes = np.random.default_rng(0), 0
    for scale in (0.5, 1, 2, 4, 8):
        x = (random.standard_normal(shape) * scale).astype(np.float32)
        (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
        ours = simulate(model.graph, x if time is None else np.ascontiguousarray(np.moveaxis(x, time, 0)))
        np.testing.assert_allclose(ours.outputs, theirs, rtol=1e-5, atol=1e-6)
        spikes += sum(int(count.sum()) for count in ours.spike_counts.values())
    assert spikes > 0
    return model


@pytest.mark.parametrize("name", CASES)
def test_an_exported_module_is_its_network(name, tmp_path):
    is_its_network(name, tmp_path, newer=False)


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_a_module_of_torch_export_is_its_network(name, tmp_path):
    pytest.importorskip("onnxscript")
    is_its_network(name, tmp_path, newer=True)


def is_its_network(name, tmp_path, *, newer):
    path, shape, axis = made(name, newer=newer, folder=tmp_path)
    model = equal(path, shape, axis)
    assert model.findings[0].code == "SP259"
    found = [type(node) for node in model.graph.nodes.values() if isinstance(node, LIF | CubaLIF | ALIF)]
    assert {kind: found.count(kind) for kind in set(found)} == CASES[name].neurons
    assert model.graph.timesteps == T
    assert model.graph.provenance["producer"] == "pytorch"


@pytest.mark.parametrize("mode", ["s", pytest.param("m", marks=pytest.mark.slow)])
def test_a_module_of_spikingjelly_as_torch_export_writes_it(mode, tmp_path):
    pytest.importorskip("onnxscript")
    torch.manual_seed(3)
    shape = (1, 2, 6, 6) if mode == "s" else (T, 1, 2, 6, 6)
    path = export(spikingjelly(mode), torch.randn(shape), tmp_path / "model.onnx", newer=True)
    equal(path, shape, int(mode == "m"))


@pytest.mark.parametrize(
    ("samples", "open_axis"),
    [(3, False), (1, True), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, False), (4, True)))],
)
@pytest.mark.parametrize("name", ["frames", "images", "sequences", "folded", "recurrent"])
def test_any_size_of_batch_that_it_was_exported_with(name, samples, open_axis, tmp_path):
    path, shape, axis = made(name, samples=samples, open_axis=open_axis, folder=tmp_path)
    one = equal(path, shape, axis).graph
    alone, *_ = made(name, folder=tmp_path)
    assert one.edges == load_model(alone).graph.edges


def test_an_example_of_one_sample_that_torch_export_takes_for_all(tmp_path):
    """Its sizes stand open in the file, and its reshapes hold a batch of one."""
    pytest.importorskip("onnxscript")
    equal(*made("images", newer=True, open_axis=True, folder=tmp_path))


@pytest.mark.parametrize("steps", [1, 4])
def test_a_file_runs_the_steps_that_it_was_written_out_for(steps, tmp_path):
    """Of one step, too, where an axis of 1 may be meant in several ways; asked for others it says how many it has."""
    torch.manual_seed(3)
    path, shape = tmp_path / "model.onnx", (steps, 1, 12)
    export(ByStep(), torch.randn(shape), path, newer=False, open_axis=None)
    assert equal(path, shape, 0).graph.timesteps == steps
    with pytest.raises(SpikeportError, match=f"written out for {steps} timesteps, not for 7") as caught:
        load_model(path, timesteps=7)
    assert [finding.code for finding in caught.value.findings] == ["SP113"]
