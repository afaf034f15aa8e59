"""The proof proves: each layer fires and is silent, a wrong converter is found, casts are no obstacle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Readout
from spikeport.tracing import capture, register_neuron
from spikeport.training import Repeat
from traced import T, fired, plif


class Subtracts(nn.Module):
    """u = 0.5 u + x, fires at a threshold, which it subtracts."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        v, spikes = torch.zeros_like(x[0]), []
        for step in x:
            v = 0.5 * v + step
            fires = (v >= self.threshold).to(x.dtype)
            spikes.append(fires)
            v = v - fires * self.threshold
        return torch.stack(spikes)


@pytest.mark.parametrize("threshold", [0.3, 5.0, 50.0, 5000.0])
def test_a_converter_with_the_wrong_reset_is_found_at_any_threshold(threshold):
    class Liar(Subtracts):
        def forward(self, x):
            return super().forward(x)

    def convert(module, shape, steps):
        return LIF(shape, np.asarray(0.5), np.full(steps, module.threshold), reset="zero")

    register_neuron(Liar, convert)
    torch.manual_seed(0)
    with pytest.raises(SpikeportError) as caught:
        capture(nn.Sequential(Repeat(4), nn.Linear(6, 8), Liar(threshold), nn.Linear(8, 3)), (6,))
    assert caught.value.code == "SP382"


def test_a_layer_that_its_weights_keep_silent_is_proved_with_others_and_kept_as_it_is():
    torch.manual_seed(0)
    module = nn.Sequential(Repeat(3), nn.Linear(6, 8), plif(), nn.Linear(8, 8), plif(), nn.Linear(8, 3))
    module[2].threshold = torch.full((3,), 1e6)
    weight = module[1].weight.detach().numpy().copy()
    graph = capture(module, (6,))
    assert "2" in graph.provenance["verified"]["scaled"]
    assert not graph.provenance["verified"]["silent"]
    np.testing.assert_array_equal(graph["1"].weight, weight)


class Casting(nn.Module):
    """Casts where published code does."""

    def __init__(self, where):
        super().__init__()
        self.where, self.fc, self.out = where, nn.Linear(6, 8), nn.Linear(8, 3)

    def cast(self, place, x):
        return x.float() if place == self.where else x

    def forward(self, x):
        x, v, out = self.cast("input", x), torch.zeros(len(x), 8), []
        for _ in range(4):
            v = 0.5 * v + self.fc(x)
            s = self.cast("spikes", v >= 0.3) if self.where == "spikes" else (v >= 0.3).to(torch.float32)
            v = v * (1 - s)
            out.append(self.out(s))
        return self.cast("result", torch.stack(out)).mean(0)


@pytest.mark.parametrize("where", ["input", "spikes", "result"])
def test_casts_to_the_modules_own_type_change_nothing(where):
    torch.manual_seed(0)
    assert fired(capture(Casting(where), (6,))).provenance["verified"]["type"] == "float64"


class Stubborn(Casting):
    """Refuses to run in another type."""

    def forward(self, x):
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return super().forward(x)


def test_a_module_that_runs_in_its_own_type_only_is_proved_in_it():
    torch.manual_seed(0)
    assert fired(capture(Stubborn("result"), (6,))).provenance["verified"]["type"] == "float32"


@pytest.mark.parametrize(
    ("shape", "steps", "ends"),
    [((6,), 4, lambda m, x: m.loop(x.transpose(0, 1))), ((6,), 4, lambda m, x: m.loop(x.permute(2, 0, 1)))],
)
def test_time_is_found_wherever_it_lies(shape, steps, ends):
    class Frames(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.out = nn.Linear(6, 8), nn.Linear(8, 3)

        def loop(self, x):
            v, out = 0.0, []
            for step in x:
                v = 0.5 * v + self.fc(step)
                s = (v > 0.3).to(x.dtype)
                v = v * (1 - s)
                out.append(self.out(s))
            return torch.stack(out, 1).mean(1)

        def forward(self, x):
            return ends(self, x)

    torch.manual_seed(0)
    graph = fired(capture(Frames(), shape, timesteps=steps))
    assert isinstance(graph["readout"], Readout)
    assert graph.provenance["time_axis"] in (1, 2)
    assert "time as axis" in graph.provenance["notes"][0]


class Log(nn.Module):
    """Reads a number out: into a log, or back into what it computes."""

    def __init__(self, back):
        super().__init__()
        self.back, self.repeat, self.fc, self.lif, self.out = back, Repeat(3), nn.Linear(6, 8), plif(), nn.Linear(8, 3)

    def forward(self, x):
        spikes = self.lif(self.fc(self.repeat(x)))
        self.rate = spikes.mean().item()
        return self.out(spikes).mean(0) * (self.rate if self.back else 1.0)


def test_a_number_that_only_goes_into_a_log_is_no_branch_on_the_sample():
    torch.manual_seed(0)
    fired(capture(Log(False), (6,)))
    with pytest.raises(SpikeportError, match="reads a value") as caught:
        capture(Log(True), (6,))
    assert caught.value.code == "SP381"


def test_a_class_whose_own_way_of_copying_fails_is_proved_on_a_plain_copy():
    """Sinabs' recurrent layers look for the parameters of the layer within them under a name that has a point."""

    class Within(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.neurons = nn.Linear(4, 8), plif()

        def forward(self, x):
            return self.neurons(self.fc(x))

        def __deepcopy__(self, memo):
            raise AttributeError("fc.weight")

    torch.manual_seed(0)
    net = nn.Sequential(Repeat(T), Within(), nn.Linear(8, 2))
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    fired(capture(net, (4,)))
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in kept.items())
