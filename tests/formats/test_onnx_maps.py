"""Maps with borders and of other sizes in files of either of torch's exporters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from exported import export
from spikeport.engine import simulate
from spikeport.verbs.load import load_model

T = 4


class Bordered(nn.Module):
    """Spikes of a map whose border is not zero, and that is made larger."""

    def __init__(self, border):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 3, 3, padding=1, padding_mode=border), nn.Linear(48, 3)

    def forward(self, x):
        v, total = 0.0, 0.0
        for t in range(T):
            v = 0.5 * v + 3 * self.conv(x[t].unflatten(1, (1, 2, 3)))
            z = (v > 1).float()
            v = v * (1 - z)
            total = total + self.head(nn.functional.interpolate(z, size=(4, 4), mode="bilinear").flatten(1))
        return total


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("border", ["replicate", "reflect", "circular", "zeros"])
def test_borders_and_resampling_come_from_either_exporter(border, newer, tmp_path):
    """The older one computes the pads from constants, which it turns round."""
    torch.manual_seed(1)
    module = Bordered(border).eval()
    path = export(module, torch.zeros(T, 1, 6), tmp_path / "model.onnx", newer=newer)
    x = np.random.default_rng(0).normal(0, 1, (T, 9, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(simulate(load_model(path).graph, x).outputs, theirs, rtol=1e-4, atol=1e-4)
