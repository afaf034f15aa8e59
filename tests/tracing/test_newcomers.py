"""Networks as people write them first: captured, and held against the module on samples that capture never saw."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import Concat, Conv, CubaLIF, Delay, Gate, Repeat
from spikeport.tracing import capture

T = 5


class Recurrent(nn.Module):
    """[T, B, 6]: a loop with neurons in it. ``start`` makes the states, ``step`` takes [B, 8], and gives spikes too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.fc, self.out = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        state, results = self.start(x), []
        for step in x:
            spikes, state = self.step(self.fc(step), state)
            results.append(self.out(spikes))
        return self.read(torch.stack(results))

    def start(self, x):
        return torch.zeros(x.shape[1], 8).to(x)  # the type of the input, and not its values

    def step(self, x, v):
        v = 0.8 * v + x
        s = (v > 0.4).to(x.dtype)
        return s, v * (1 - s)

    def read(self, results):
        return results.mean(0)


class InPlace(Recurrent):
    def forward(self, x):
        v, total = x.new_zeros(x.shape[1], 8), x.new_zeros(x.shape[1], 3)
        for step in x:
            v *= 0.8
            v += self.fc(step)
            s = v > 0.4
            v[s] = 0.0
            total.add_(self.out(s.to(x.dtype)))
        return total


class Lateral(Recurrent):
    """All neurons are held back by the number of spikes of the last step: [B, 1] beside [B, 8]."""

    def start(self, x):
        return self.same(x), self.same(x)

    def same(self, x):
        return x.new_zeros(x.shape[1], 8)

    def step(self, x, state):
        v, s = state
        v = 0.8 * v + x - 0.1 * s.sum(1, keepdim=True)
        s = (v > 0.4).to(x.dtype)
        return s, (v - 0.4 * s, s)


class BurntIn(Recurrent):
    """The first steps do not count."""

    def forward(self, x):
        assert not torch.isnan(x).any()
        v, results = self.start(x), []
        for t, step in enumerate(x):
            spikes, v = self.step(self.fc(step), v)
            if t >= 2:
                results.append(self.out(spikes))
        return torch.stack(results).mean(0)


class Late(nn.Module):
    """[B, T, 6] through einsum; the comparison comes before the update, and a spike erases what enters as well.

    The manner of Neftci, Mostafa & Zenke, Surrogate gradient learning in SNNs (IEEE SPM 36, 2019), in our own words.
    """

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.inner, self.outer = nn.Parameter(torch.randn(6, 8)), nn.Parameter(torch.randn(8, 3))

    def forward(self, x):
        current = torch.einsum("btn,nm->btm", x, self.inner)
        i = v = torch.zeros(x.shape[0], 8).to(x)
        spikes = []
        for t in range(x.shape[1]):
            s = torch.zeros_like(v)
            s[v - 1.0 > 0] = 1.0
            i, v = 0.7 * i + current[:, t], (0.9 * v + i) * (1 - s)
            spikes.append(s)
        currents = torch.einsum("btm,mk->btk", (torch.stack(spikes, 1), self.outer))
        i = out = torch.zeros(x.shape[0], 3).to(x)
        for t in range(x.shape[1]):
            i, out = 0.7 * i + currents[:, t], 0.9 * out + i
        return out


class Traces(Recurrent):
    """Spikes leave a trace that fades, and enter the next layer, which has a bias, as that."""

    def forward(self, x):
        v = trace = w = 0
        results = []
        for step in x:
            s, v = self.step(self.fc(step), v)
            trace = 0.7 * trace + s
            w = 0.5 * w + self.out(trace)
            s = (w > 0.3).to(x.dtype)
            w = torch.where(s > 0, torch.full_like(w, -0.2), w)
            results.append(s)
        return torch.stack(results).mean(0)


class Cut(Recurrent):
    """Large values of the input count as none: a product of an analog value and a comparison."""

    def forward(self, x):
        return super().forward(x * (x < 4).to(x))


class Copies(Recurrent):
    def forward(self, x):
        v, results = self.start(x), []
        for step in x:
            spikes, left = self.step(self.fc(step), v)
            v.copy_(left)
            results.append(self.out(spikes))
        return self.read(torch.stack(results))


class Padded(Recurrent):
    """Places beside the features, which the convolution misses; more on one side."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3)

    def forward(self, x):
        whole = nn.functional.pad(x.flatten(0, 1).unsqueeze(1), (2, 0))
        return super().forward(self.conv(whole).view(x.shape))


KINDS = [(Recurrent, None, 0), (InPlace, None, 0), (Lateral, Repeat, 0), (BurntIn, None, 0), (Late, Delay, 1)]
KINDS += [(Traces, CubaLIF, 0), (Cut, Gate, 0), (Copies, None, 0), (Padded, Conv, 0)]


@pytest.mark.parametrize(("kind", "node", "time"), KINDS)
def test_a_loop_of_a_newcomer_is_captured(kind, node, time):
    module = kind().double()
    graph = capture(module, (6,), timesteps=T)
    assert node is None or graph.nodes_of(node)
    x = 5 * np.random.default_rng(99).standard_normal((T, 11, 6))
    judged = module(torch.as_tensor(x).movedim(0, time)).detach().numpy()
    np.testing.assert_allclose(simulate(graph, x).outputs, judged, rtol=1e-9, atol=1e-9)
    assert np.abs(judged).max() > 0.05  # the neurons fire


class Noise(Recurrent):
    def step(self, x, v):
        return super().step(x + 0.1 * torch.randn(1), v)


class Counts(Recurrent):
    calls: list[int] = []  # noqa: RUF012  (what the module counts in is not its own)

    def step(self, x, v):
        self.calls.append(1)
        return super().step(x + 1e-3 * len(self.calls), v)


class Chance(Recurrent):
    def step(self, x, v):
        return super().step(x * random.random(), v)


class Batch(Recurrent):
    def read(self, results):
        return results.sum(0) / results.shape[1]


@pytest.mark.parametrize("kind", [Noise, Counts, Chance, Batch])
def test_numbers_that_are_others_at_each_run_are_no_constants(kind):
    with pytest.raises(SpikeportError, match="two networks") as caught:
        capture(kind(), (6,), timesteps=T)
    assert caught.value.code == "SP331"


class Softmax(Recurrent):
    def read(self, results):
        return torch.softmax(results, -1).sum(0)


class Clamped(Recurrent):
    def step(self, x, v):
        return super().step(x, v.clamp(-1, 1))


class Encoded(Recurrent):
    def forward(self, x):
        return super().forward((torch.rand_like(x) < x).to(x))


class More(Recurrent):
    def forward(self, x, steps):
        return super().forward(x)


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(nn.Sequential(nn.Linear(6, 8)))


@pytest.mark.parametrize(
    ("module", "mend"),
    [
        (Softmax(), "return the values before it"),
        (Clamped(), "train without it"),
        (Encoded(), "encode the input before the network"),
        (More(), "wrap it in a module"),
        (scripted(), "given to torch.jit.script"),
    ],
)
def test_a_refusal_says_what_to_do(module, mend):
    with pytest.raises(SpikeportError, match=mend):
        capture(module, (6,), timesteps=T)


def test_what_torch_compile_returns_is_captured_as_what_it_was_given():
    plain, optimized = Recurrent(), nn.Module()
    optimized._orig_mod = plain  # as torch's OptimizedModule has it, whose making takes seconds
    assert capture(optimized, (6,), timesteps=T) == capture(plain, (6,), timesteps=T)


def test_the_notes_say_what_the_proof_says_nothing_of():
    module = Recurrent()
    module.fc.weight.data.zero_()
    module.fc.bias.data.zero_()
    notes = " ".join(capture(module, (6,), timesteps=T).provenance["notes"])
    assert "read as" in notes
    assert "says nothing of" in notes


def test_products_by_letters_are_layers_and_products_of_matrices():
    class Attention(Recurrent):
        def forward(self, x):  # [T, B, 4, 6]: four tokens
            v, total = x.new_zeros(x.shape[1], 4, 8), 0
            for step in x:
                spikes, v = self.step(torch.einsum("bni,oi->bno", step, self.fc.weight), v)
                scores = torch.einsum("bnc,bmc->bnm", spikes, spikes)
                total = total + torch.einsum("bnm,bmc->bcn", scores, spikes)
            return total

    graph = capture(Attention(), (4, 6), timesteps=T, forward="sequence")
    assert not graph.nodes_of(Concat)
    assert graph.shapes[graph.output] == (8, 4)


def test_the_square_of_how_often_neurons_fire_is_no_spike():
    layers = pytest.importorskip("sinabs.layers")

    class Squares(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.fc, self.neurons = nn.Linear(6, 8), layers.IAF()  # as often as the membrane holds thresholds

        def forward(self, x):  # [B, T, 6]
            spikes = self.neurons(self.fc(x))
            return (spikes * spikes).sum(1)

    with pytest.raises(SpikeportError, match="neither of which is spikes"):
        capture(Squares(), (6,), timesteps=T, verify=False)
