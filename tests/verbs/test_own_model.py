"""A module is a model wherever a verb takes one, and so is a file that makes one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from data_files import code
from hand_written import Cell
from spikeport import compare, evaluate, fit, inspect, load_model, simulate
from spikeport.findings import SpikeportError
from spikeport.training import IF, Repeat, method

SOURCE = """
import torch
from torch import nn
from spikeport.training import IF, Repeat, method
from part_of_a_file_in_a_test import SIZE


def build():
    torch.manual_seed(0)
    return nn.Sequential(Repeat(3), nn.Linear(SIZE, 4), IF(method("fixed"), 3), nn.Linear(4, 2))


net = build()
pair = net, (SIZE,)
number = 5
"""
X = np.random.default_rng(2).random((5, 4), dtype=np.float32)


def module():
    torch.manual_seed(0)
    return nn.Sequential(Repeat(3), nn.Linear(4, 4), IF(method("fixed"), 3), nn.Linear(4, 2))


def test_a_module_with_its_shape_is_a_model():
    net = module()
    assert load_model((net, (4,))).graph.timesteps == 3
    assert fit((net, (4,))).as_dict()
    assert inspect((net, (4,), {"fold": True})).rows
    net.input_shape = (4,)
    assert load_model(net).module is net


def test_a_module_takes_the_shape_of_the_samples():
    net = module()
    record = simulate(net, X)
    assert np.allclose(record.outputs, net(torch.as_tensor(X)).mean(0).detach().numpy(), atol=1e-6)
    assert evaluate(net, (X, record.outputs.argmax(1))).accuracy == 1
    assert compare(net, net, X).parity.spike_mismatches == 0
    assert code(load_model, net) == "SP397"
    assert code(load_model, 3.5) == "SP397"


def test_frames_have_axes_of_steps_and_samples_before_them():
    """[3, 5, 4] as the module takes it; where nothing says so, the hint stands beside what it was refused for."""

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.neuron = nn.Linear(4, 4), IF(method("fixed"), 3)

        def forward(self, x):
            return self.neuron(torch.stack([self.net(each) for each in x])).mean(0)

    torch.manual_seed(0)
    net, x = Loop(), np.random.default_rng(3).random((3, 5, 4), dtype=np.float32)
    record = simulate(net, x, frames=True)
    assert np.allclose(record.outputs, net(torch.as_tensor(x)).detach().numpy(), atol=1e-6)
    assert load_model(net, data=x, frames=True).graph.input_shape("net") == (4,)
    with pytest.raises(SpikeportError, match="frames=True"):
        simulate(module(), x[:, :, :3])


@pytest.mark.parametrize("labelled", ["samples first", "steps first"])
def test_a_module_with_its_shape_takes_the_frames_that_samples_bring(labelled):
    """A frame a step, and as many steps as the samples have: nothing else fits a sample [7, 4] where one is [4]."""
    net, x = Cell(), np.random.default_rng(5).random((6, 7, 4), dtype=np.float32)
    with torch.no_grad():
        expected = sum(net(torch.as_tensor(x[:, t])) for t in range(7)).numpy() / 7
    net.reset()
    brought = x if labelled == "samples first" else np.moveaxis(x, 1, 0)
    model = load_model((net, (4,)), data=(brought, np.zeros(6, np.int64)))
    assert model.graph.timesteps == 7
    assert "7 frames of [4], one a step" in model.findings[0].what
    read = next(finding for finding in model.findings if 'read as forward="step"' in finding.what)
    assert "{'forward': 'sample'}" in read.mend
    assert np.allclose(simulate((net, (4,)), (brought, np.zeros(6, np.int64))).outputs, expected, atol=1e-6)


@pytest.mark.parametrize("brought", ["list", "padded"])
def test_samples_of_unequal_length_say_that_a_module_alone_takes_a_frame_a_step(brought):
    """Nothing else has lengths: neither frames=True nor timesteps is to be said. Each sample is read to its own end."""
    net, lengths = Cell(), np.array([7, 3, 5])
    x = np.random.default_rng(6).random((3, 7, 4), dtype=np.float32)
    expected = []
    for sample, length in zip(x, lengths, strict=True):
        net.reset()
        with torch.no_grad():
            expected.append(sum(net(torch.as_tensor(frame[None])) for frame in sample[:length]).numpy()[0] / 7)
    net.reset()
    some = [each[:n] for each, n in zip(x, lengths, strict=True)] if brought == "list" else (x, lengths, np.arange(3))
    assert np.allclose(simulate(net, some).outputs, expected, atol=1e-6)


def test_a_module_keeps_the_coding_that_is_said():
    x = np.random.default_rng(5).random((6, 7, 4), dtype=np.float32)
    with pytest.raises(SpikeportError, match="SP502"):
        simulate((Cell(), (4,), {"coding": "direct", "timesteps": 7}), (x, np.zeros(6, np.int64)))


def test_a_file_makes_a_model(tmp_path):
    (tmp_path / "part_of_a_file_in_a_test.py").write_text("SIZE = 4\n")
    path = tmp_path / "file_that_makes_a_net.py"
    path.write_text(SOURCE)
    expected = load_model((module(), (4,))).graph
    for name in ("build", "net"):
        assert load_model(f"{path}:{name}", data=X).graph.nodes == expected.nodes
    loaded = load_model(f"{path}:pair")
    assert loaded.graph == expected
    assert [each.code for each in loaded.findings] == ["SP909", "SP242", "SP242"]
    assert "read as forward=" in loaded.findings[1].what  # the choices that capture made
    assert "{'forward': 'step'}" in loaded.findings[1].mend
    assert "as its mean over the 3 steps" in loaded.findings[2].what
    with pytest.raises(SpikeportError, match=r"choose one of: build, net, pair$"):  # no imports, no numbers
        load_model(f"{path}:nothing", data=X)
    for name in ("build", "number", "nothing"):
        assert code(load_model, f"{path}:{name}") == "SP397"
    for name, says in ((f"{path}:bild", "mean build"), (str(path), f"{path}:NAME"), ("w.pt", "my.py:net")):
        with pytest.raises(SpikeportError, match=says):
            load_model(name, data=X)
    assert code(load_model, f"{tmp_path}/none.py:net") == "SP397"
    (tmp_path / "json.py").write_text(SOURCE)  # the name of a package, and of a file, at once
    assert load_model(f"{tmp_path}/json.py:net", data=X).graph.nodes == expected.nodes
    import json

    assert json.dumps([]) == "[]"


def test_membranes_that_a_module_keeps_for_itself_are_missed_aloud():
    named = (Cell(), (4,), {"timesteps": 3})
    layer = next(iter(simulate(named, X).neurons))
    found = simulate(named, X, membranes=True)
    assert found.membranes == {}
    assert [each.what for each in found.findings if each.code == "SP517"] == [
        f"pytorch shows no membranes, as were asked for, of {layer}"
    ]
    shown = simulate(named, X, membranes=True, target="reference")
    assert list(shown.membranes) == [layer]
    for fine in (shown, simulate(named, X)):
        assert "SP517" not in {each.code for each in fine.findings}
