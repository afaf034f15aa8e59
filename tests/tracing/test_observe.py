"""A module's own run as a record, and code that is named on the command line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.target import Request
from spikeport.tracing import capture
from spikeport.tracing.code import named
from spikeport.tracing.observe import observe
from spikeport.training import IF, Linear, Readout, Repeat, method

T = 4


class Twice(nn.Module):
    """One neuron layer, called twice; the second call's spikes are changed in place afterwards."""

    def __init__(self):
        super().__init__()
        self.repeat, self.fc, self.lif, self.mean = Repeat(T), Linear(5, 5), IF(method("fixed"), T), Readout(T)

    def forward(self, x):
        first = self.lif(self.fc(self.repeat(x)))
        second = self.lif(self.fc(first))
        second += first
        return self.mean(self.fc(second))


def test_the_record_of_a_module_equals_the_graphs():
    torch.manual_seed(0)
    module = Twice().double()
    graph = capture(module, (5,))
    x = np.random.default_rng(0).standard_normal((7, 5)) * 3
    ours, theirs = simulate(graph, x, Request(trains=True)), observe(module, graph, x, Request(trains=True, batch=3))
    assert set(theirs.trains) == {"lif", "lif#2"}
    assert theirs.trains["lif#2"].shape == (T, 7, 5)
    for name, train in theirs.trains.items():
        np.testing.assert_array_equal(train.unpack(), ours.trains[name].unpack())
        np.testing.assert_array_equal(theirs.spike_counts[name], ours.spike_counts[name])
    np.testing.assert_allclose(theirs.outputs, ours.outputs, atol=1e-12)


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_a_module_that_keeps_a_state_is_called_once_a_step_from_zero(coding):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 6), neuron.LIFNode(tau=1.5), nn.Linear(6, 3)).double()
    graph = capture(module, (5,), timesteps=T, coding=coding)
    lead = (T, 7) if coding == "events" else (7,)
    x = np.random.default_rng(0).standard_normal((*lead, 5)) * 4
    ours = simulate(graph, x, Request(trains=True))
    for _ in range(2):  # a second run starts from zero again
        theirs = observe(module, graph, x, Request(trains=True, batch=4))
        assert theirs.spike_counts["1"].sum() > 0
        np.testing.assert_array_equal(theirs.trains["1"].unpack(), ours.trains["1"].unpack())
        np.testing.assert_allclose(theirs.outputs, ours.outputs, atol=1e-12)


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "mynets_for_test.py").write_text(
        "from torch import nn\n"
        "from spikeport.training import IF, Repeat, method\n"
        "def net():\n    return nn.Sequential(Repeat(3), nn.Linear(4, 4), IF(method('fixed'), 3), nn.Linear(4, 2))\n"
        "def good():\n    return net(), (4,)\n"
        "def unproved():\n    return net(), [4], {'verify': False}\n"
        "def has_shape():\n    found = net()\n    found.input_shape = (4,)\n    return found\n"
        "def bare():\n    return net()\n"
        "def odd():\n    return net(), (4,), {'verfy': False}\n"
        "def raises():\n    return 1 / 0\n"
        "def asks(x):\n    return x\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize("function", ["good", "unproved", "has_shape"])
def test_named_code_builds_a_graph(function):
    graph = named(f"mynets_for_test:{function}").graph()
    assert graph.timesteps == 3
    assert ("verified" in graph.provenance) == (function != "unproved")


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    "reference",
    [
        "mynets_for_test",
        "mynets_for_test:",
        ":good",
        "mynets_for_test:none",
        "no_such_package:good",
        "mynets_for_test:bare",
        "mynets_for_test:odd",
        "mynets_for_test:raises",
        "mynets_for_test:asks",
    ],
)
def test_code_that_cannot_be_used_is_one_error(reference):
    with pytest.raises(SpikeportError) as caught:
        named(reference)
    assert caught.value.code == "SP397"


class Recorded(nn.Module):
    """Membranes or spikes of each step, of neurons that are known, with time before or behind the batch."""

    def __init__(self, membranes, axis):
        super().__init__()
        self.membranes, self.axis = membranes, axis
        self.repeat, self.fc, self.lif, self.out = Repeat(T), Linear(5, 5), IF(method("fixed"), T), nn.Linear(5, 3)
        self.fc.weight.data.mul_(4)

    def forward(self, x):
        u, steps = 0.0, []
        for spikes in self.lif(self.fc(self.repeat(x))):
            u = 0.5 * u + self.out(spikes)
            steps.append(u if self.membranes else spikes)
        return torch.stack(steps, self.axis)


@pytest.mark.parametrize("samples", [3, T])
@pytest.mark.parametrize("membranes", [True, False])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_result_over_time_is_read_out_as_the_graph_reads_it_out(membranes, axis, samples):
    torch.manual_seed(0)
    module = Recorded(membranes, axis)
    graph = capture(module, (5,))
    x = np.random.default_rng(0).standard_normal((samples, 5)).astype(np.float32)
    np.testing.assert_allclose(observe(module, graph, x).outputs, simulate(graph, x).outputs, rtol=1e-5, atol=1e-6)
