"""ONNX models of one timestep: their states go in behind the sample, and come out behind the result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn

from exported import export
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF
from spikeport.verbs.load import load_model

T = 4


def refused(path):
    with pytest.raises(SpikeportError) as error:
        load_model(path)
    return error.value.findings


class Step(nn.Module):
    """One step of two layers; their membranes go in and come out."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 3, 3), nn.Linear(48, 4)

    def forward(self, x, v, w):
        v = v * 0.5 + 2 * self.conv(x)
        z = (v > 1).float()
        w = w * 0.75 + 2 * self.fc(z.flatten(1))
        y = (w > 0.5).float()
        return y, v * (1 - z), w - 0.5 * y


@pytest.mark.parametrize("samples", [1, 3])
def test_a_model_of_one_step_whose_states_go_in_and_out(samples, tmp_path):
    torch.manual_seed(1)
    start = [torch.zeros(samples, 3, 4, 4), torch.zeros(samples, 4)]
    path = export(Step(), (torch.zeros(samples, 1, 6, 6), *start), tmp_path / "model.onnx", newer=False)
    assert refused(path)[0].code == "SP384"  # nothing says how many steps
    model, session = load_model(path, timesteps=T), InferenceSession(path)
    assert "are states, 0 at the start" in model.findings[0].what
    assert [len(model.graph.nodes_of(LIF)), model.graph.timesteps] == [2, T]
    names = [entry.name for entry in session.get_inputs()]
    x = np.random.default_rng(4).standard_normal((samples, 1, 6, 6)).astype(np.float32)
    states, count = [state.numpy() for state in start], 0
    for _ in range(T):
        spikes, *states = session.run(None, dict(zip(names, (x, *states), strict=True)))
        count = count + spikes
    assert count.sum() > 0
    np.testing.assert_array_equal(simulate(model.graph, x).outputs, count)


def test_inputs_that_do_not_come_out_again_are_no_states(tmp_path):
    class Half(Step):
        def forward(self, x, v, w):
            return super().forward(x, v, w)[:2]

    inputs = torch.zeros(1, 1, 6, 6), torch.zeros(1, 3, 4, 4), torch.zeros(1, 4)
    findings = refused(export(Half(), inputs, tmp_path / "model.onnx", newer=False))
    assert [finding.code for finding in findings] == ["SP251", "SP258"]
    assert "3 inputs" in findings[0].what
