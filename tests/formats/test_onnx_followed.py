"""ONNX models of other tools' modules, whose neurons are comparisons and sums at each timestep, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn

from exported import export
from spikeport.engine import simulate
from spikeport.graph import ALIF, LIF, CubaLIF
from spikeport.verbs.load import load_model

T = 5
EXPORTERS = [pytest.param(False, id="traced"), pytest.param(True, id="torch.export")]


class Frames(nn.Module):
    """[T, B, C, H, W]: residual, batch normalisation, a hard reset and one by subtraction, a mean over the logits."""

    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.c2, self.b2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.pool, self.fc = nn.AvgPool2d(2), nn.Linear(4 * 9, 3)
        self.b1.running_mean.uniform_(-0.1, 0.1)
        self.b2.running_var.uniform_(0.5, 2)

    def forward(self, x):
        v = torch.zeros(x.shape[1], 4, 6, 6)
        w, logits = torch.zeros_like(v), []
        for t in range(T):
            v = v + (self.b1(self.c1(x[t])) - v) / 2.0
            z = (v >= 0.25).float()
            v = torch.where(z > 0, torch.zeros_like(v), v)
            w = w * 0.75 + self.b2(self.c2(z))
            y = (w > 0.5).float()
            w = w - y * 0.5
            logits.append(self.fc(self.pool(z + y).flatten(1)))
        return torch.stack(logits).mean(0)


class Images(nn.Module):
    """[B, C, H, W], the same at each step: the current of the first step is the first membrane."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 6, 3), nn.Linear(6 * 4, 5)

    def forward(self, x):
        current, v, w, count = self.conv(x), None, None, 0
        for _ in range(T):
            v = current if v is None else v * 0.5 + current
            z = (v >= 1).float()
            v = v * (1 - z)
            inner = self.fc(nn.functional.max_pool2d(z, 2).flatten(1))
            w = inner if w is None else w * 0.75 + inner
            y = (w > 0.5).float()
            w, count = w - 0.5 * y, count + y
        return count / T


class Sequences(nn.Module):
    """[B, T, C]; a readout that adds up."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(12, 20), nn.Linear(20, 4)

    def forward(self, x):
        currents, v, total = self.a(x), 0.0, 0.0
        for t in range(T):
            v = 0.875 * v + currents[:, t]
            z = (v > 1).float()
            v, total = v - z, total + self.b(z)
        return total


def snntorch(kind, start, **options):
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(12, 16), nn.Linear(16, 5)
            self.lif1, self.lif2 = (getattr(snn, kind)(**options) for _ in range(2))

        def forward(self, x):
            a, b = getattr(self.lif1, start)(), getattr(self.lif2, start)()
            a, b = (s if isinstance(s, tuple) else (s,) for s in (a, b))
            trains = []
            for _ in range(T):
                z, *a = self.lif1(self.fc1(x), *a)
                y, *b = self.lif2(self.fc2(z), *b)
                trains.append(y)
            return torch.stack(trains).sum(0)

    return Net()


def norse():
    cells = pytest.importorskip("norse.torch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(12, 16), nn.Linear(16, 4)
            self.lif1, self.lif2 = cells.LIFCell(), cells.LIFCell()

        def forward(self, x):
            a, b, total = None, None, 0
            for _ in range(T):
                z, a = self.lif1(10 * self.fc1(x), a)
                y, b = self.lif2(5 * self.fc2(z), b)
                total = total + y
            return total

    return Net()


def spikingjelly(mode):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            conv = layer.Conv2d(2, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), neuron.LIFNode(v_threshold=0.5)
            self.net = nn.Sequential(*conv, layer.MaxPool2d(2), layer.Flatten(), layer.Linear(36, 10), neuron.IFNode())
            functional.set_step_mode(self.net, mode)

        def forward(self, x):
            functional.reset_net(self.net)
            return self.net(x).sum(0) if mode == "m" else sum(self.net(x) for _ in range(T))

    return Net()


#: the module, an input of one sample, its axis of samples, and the neurons that it has
CASES = {
    "frames": (Frames, (T, 1, 2, 6, 6), 1, {LIF: 2}),
    "images": (Images, (1, 1, 6, 6), 0, {LIF: 3}),  # the maximum of spikes is a layer without memory
    "sequences": (Sequences, (1, T, 12), 0, {LIF: 1}),
    "snntorch Leaky": (lambda: snntorch("Leaky", "init_leaky", beta=0.9), (1, 12), 0, {LIF: 2}),
    "snntorch Leaky, zero": (
        lambda: snntorch("Leaky", "init_leaky", beta=0.8, reset_mechanism="zero"), (1, 12), 0, {LIF: 2},
    ),
    "snntorch Synaptic": (lambda: snntorch("Synaptic", "init_synaptic", alpha=0.7, beta=0.8), (1, 12), 0, {CubaLIF: 2}),
    "norse LIFCell": (norse, (1, 12), 0, {CubaLIF: 2}),
}  # fmt: skip


def made(name, *, samples=1, newer=False, folder=None, open_axis=False):
    """A case exported, its input's shape, and where the samples lie in it."""
    build, shape, axis, kinds = CASES[name]
    torch.manual_seed(3)
    shape = tuple(samples if at == axis else size for at, size in enumerate(shape))
    path = folder / "model.onnx"
    export(build(), torch.randn(shape), path, newer=newer, open_axis=axis if open_axis else None)
    return path, shape, axis, kinds


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


@pytest.mark.parametrize("newer", EXPORTERS)
@pytest.mark.parametrize("name", CASES)
def test_an_exported_module_is_its_network(name, newer, tmp_path):
    if newer:
        pytest.importorskip("onnxscript")
    path, shape, axis, kinds = made(name, newer=newer, folder=tmp_path)
    model = equal(path, shape, axis)
    assert model.findings[0].code == "SP259"
    found = [type(node) for node in model.graph.nodes.values() if isinstance(node, LIF | CubaLIF | ALIF)]
    assert {kind: found.count(kind) for kind in set(found)} == kinds
    assert model.graph.timesteps == T
    assert model.graph.provenance["producer"] == "pytorch"


@pytest.mark.parametrize("mode", ["s", "m"])
def test_a_module_of_spikingjelly_as_torch_export_writes_it(mode, tmp_path):
    pytest.importorskip("onnxscript")
    torch.manual_seed(3)
    shape = (1, 2, 6, 6) if mode == "s" else (T, 1, 2, 6, 6)
    path = export(spikingjelly(mode), torch.randn(shape), tmp_path / "model.onnx", newer=True)
    equal(path, shape, int(mode == "m"))


@pytest.mark.parametrize(("samples", "open_axis"), [(3, False), (2, False), (1, True), (4, True)])
@pytest.mark.parametrize("name", ["frames", "images", "sequences"])
def test_any_size_of_batch_that_it_was_exported_with(name, samples, open_axis, tmp_path):
    path, shape, axis, _ = made(name, samples=samples, open_axis=open_axis, folder=tmp_path)
    one = equal(path, shape, axis).graph
    alone, *_ = made(name, folder=tmp_path)
    assert one.edges == load_model(alone).graph.edges


def test_an_example_of_one_sample_that_torch_export_takes_for_all(tmp_path):
    """Its sizes stand open in the file, and its reshapes hold a batch of one."""
    pytest.importorskip("onnxscript")
    equal(*made("images", newer=True, open_axis=True, folder=tmp_path)[:3])
