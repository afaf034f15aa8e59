"""What one call of a module takes: tried and proved, said, and an error where it cannot be known."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.tracing import capture, over_time, registry
from spikeport.training import Repeat
from traced import T, fired, plif


class Either(nn.Module):
    """Without memory, and with a result that sums over whatever axis is the second to last: time, or nothing."""

    def __init__(self):
        super().__init__()
        self.fc, self.out = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        s = (self.fc(x) > 0.1).to(x.dtype)
        return self.out(s).sum(0) if x.ndim == 3 else self.out(s)


def test_what_was_guessed_is_said():
    torch.manual_seed(0)
    graph = fired(capture(nn.Sequential(Repeat(T), nn.Linear(4, 8), plif(), nn.Linear(8, 2)), (4,)))
    mean = over_time.told_of(graph.provenance["notes"])
    assert len(mean) == 1
    assert graph.provenance["notes"] == [
        'one call of the module was read as forward="sample", which is what can be proved',
        *mean,
    ]
    told = capture(nn.Sequential(Repeat(T), nn.Linear(4, 8), plif(), nn.Linear(8, 2)), (4,), forward="sample")
    assert told.provenance["notes"] == mean
    counted = capture(nn.Sequential(Repeat(T), nn.Linear(4, 8), plif()), (4,), forward="sample")
    assert "notes" not in counted.provenance


def test_readings_that_are_different_networks_are_an_error_that_names_them():
    torch.manual_seed(0)
    with pytest.raises(SpikeportError) as caught:
        capture(Either(), (6,), timesteps=4, coding="events")
    assert caught.value.code == "SP330"
    assert 'forward="sequence"' in str(caught.value)
    assert 'forward="step"' in str(caught.value)
    assert capture(Either(), (6,), timesteps=4, coding="events", forward="step").timesteps == 4


class Both(nn.Module):
    """Repeats an image over time, takes frames as they are: as published transformers do."""

    def __init__(self):
        super().__init__()
        self.fc, self.neurons, self.out = nn.Linear(6, 8), plif(), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.neurons(self.fc(x if x.ndim == 3 else x.expand(T, *x.shape)))).mean(0)


def test_a_module_that_takes_samples_and_frames_is_one_network_read_as_samples_until_told():
    torch.manual_seed(0)
    net = Both().eval()
    graph = fired(capture(net, (6,)))
    assert (graph.entry.coding, graph.provenance["forward"]) == ("direct", "sample")
    assert any('coding="events"' in note for note in graph.provenance["notes"])
    frames = fired(capture(net, (6,), coding="events"))
    assert (frames.entry.coding, frames.provenance["forward"]) == ("events", "sequence")
    x = torch.randn(T, 5, 6)
    np.testing.assert_allclose(simulate(frames, x.numpy()).outputs, net(x).detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(simulate(graph, x[0].numpy()).outputs, net(x[0]).detach(), rtol=1e-5, atol=1e-6)


class Forgets(nn.Module):
    """Its reset draws new weights."""

    def __init__(self):
        super().__init__()
        self.repeat, self.fc, self.lif = Repeat(T), nn.Linear(4, 8), plif()

    def reset(self):
        nn.init.normal_(self.fc.weight)

    def forward(self, x):
        return self.lif(self.fc(self.repeat(x)))


def test_a_reset_that_changes_weights_is_refused():
    with pytest.raises(SpikeportError) as caught:
        capture(Forgets(), (4,))
    assert caught.value.code == "SP333"


def test_a_plug_in_that_cannot_be_imported_hides_no_registered_neuron(monkeypatch):
    """As with a library in its old layout: the neuron's package is there, what the plug-in imports is not."""
    package = types.ModuleType("oldlibrary.neurons")
    monkeypatch.setitem(sys.modules, "oldlibrary.neurons", package)
    monkeypatch.setitem(registry._plugins, "oldlibrary", "no_such_plugin_for_test")
    monkeypatch.setattr(registry, "_tried", set())
    neuron = type("Old", (nn.Module,), {"__module__": "oldlibrary.neurons", "forward": lambda self, x: torch.tanh(x)})
    net = nn.Sequential(Repeat(T), nn.Linear(4, 8), plif(), neuron())
    with pytest.raises(SpikeportError) as caught:
        capture(net, (4,))
    assert {finding.code for finding in caught.value.findings} == {"SP380", "SP334"}
    assert "tanh" in str(caught.value)
    registry.problems.clear()


@pytest.mark.parametrize("lazy", [nn.LazyLinear(6), nn.LazyConv2d(3, 1)])
def test_a_lazy_module_that_never_ran_is_one_error(lazy):
    with pytest.raises(SpikeportError, match="run the module once") as caught:
        capture(nn.Sequential(Repeat(T), lazy, plif()), (4,))
    assert caught.value.code == "SP386"


def test_time_in_the_shape_of_a_sample_is_taken_for_time():
    class Frames(nn.Module):
        """[B, T, 6]"""

        def __init__(self):
            super().__init__()
            self.fc, self.neuron = nn.Linear(6, 8), plif()

        def forward(self, x):
            return self.neuron(torch.stack([self.fc(x[:, t]) for t in range(T)])).mean(0)

    module = Frames()
    with pytest.raises(SpikeportError, match=r"\(3, 6\) as 3 timesteps of \(6,\)") as caught:
        capture(module, (T, 6))  # frames of (3, 6) run as well
    assert caught.value.code == "SP330"
    graph = capture(module, (T, 6), forward="sample")  # one sample would be a step
    assert graph == capture(module, (6,), timesteps=T)
    assert graph.entry.coding == "events"
    assert "as 3 timesteps of (6,)" in graph.provenance["notes"][0]


class Refused(nn.Module):
    """[T, B, 6]: neurons of tanh, their results' sine, and what ``read`` takes of all steps: more than one cause."""

    def __init__(self, read):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.out, self.read = nn.Linear(6, 8), nn.Linear(8, 3), read

    def forward(self, x):
        v, every = 0.0, []
        for step in x.unbind(0):
            v = torch.tanh(0.5 * v + self.fc(step))
            fired = (v > 0.3).float()
            v = v * (1 - fired)
            every.append(torch.sin(self.out(fired)))
        return self.read(every)


READ = {"several": lambda every: {"a": sum(every), "b": every[-1]}, "the last steps": lambda every: sum(every[3:])}


@pytest.mark.parametrize("read", READ)
def test_the_cause_is_told_of_the_reading_that_is_meant(read):
    """Not that the batch is taken apart, nor that a batch of two gives no tensor, where time is read as the second."""
    with pytest.raises(SpikeportError) as caught:
        capture(Refused(READ[read]), (6,), timesteps=5, forward="sequence")
    assert any("tanh" in finding.what for finding in caught.value.findings)
    assert not any(words in str(caught.value) for words in ("batch", "no tensor"))
