"""Membranes at the end of a network that leak otherwise from channel to channel, against the modules that keep them."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LOIHI2, Graph, Input, Linear, Loihi, Peak, Readout
from spikeport.target import Request
from spikeport.tracing import capture
from spikeport.training.ends import at_ends

T, HIDDEN, CLASSES, FROM = 9, 16, 5, 4


class Leaky(nn.Module):
    """Neurons, then a membrane a class that keeps its own share a step; ``reads`` says what of it is returned."""

    def __init__(self, reads, second=None):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.out = nn.Linear(6, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        self.keep = nn.Parameter(torch.rand(CLASSES) * 0.5 + 0.4)
        self.reads, self.second = reads, second

    def forward(self, x):
        u = z = torch.zeros(len(x), HIDDEN)
        m, current = torch.zeros(len(x), CLASSES), torch.zeros(len(x), CLASSES)
        every = []
        for step in x.unbind(1):
            u = 0.9 * u * (1 - z) + self.first(step)
            z = (u > 0.5).float()
            current = self.out(z) if self.second is None else self.second * current + self.out(z)
            m = self.keep * m + (1 - self.keep) * current
            every.append(m)
        return self.reads(every)


READS = {
    "last": lambda every: every[-1],
    "sum": lambda every: sum(every),
    "sum from a step on": lambda every: sum(every[FROM:]),
    "mean": lambda every: torch.stack(every, 1).mean(1),
    "weighed": lambda every: sum((0.3 + 0.1 * t) * m for t, m in enumerate(every)),
}


@pytest.fixture(scope="module")
def x():
    return torch.randn(20, T, 6, generator=torch.Generator().manual_seed(0))


def drawn(module, **options):
    return capture(module.eval(), (6,), timesteps=T, forward="sequence", coding="events", **options)


def impulses(keep, of):
    """What a step counts in ``of`` of the membranes: their responses to one spike at each step, by the equation."""
    rows = []
    for s in range(T):
        responses = [(1 - keep) * keep ** (t - s) if t >= s else 0 * keep for t in range(T)]
        rows.append(of(responses))
    return np.stack(rows)


@pytest.mark.parametrize("reads", READS)
def test_what_a_membrane_adds_up_is_read_out_channel_by_channel(x, reads):
    module = Leaky(READS[reads])
    graph = drawn(module)
    (readout,) = graph.nodes_of(Readout).values()
    keep = module.keep.detach().numpy().astype(np.float64)
    told = {
        "last": lambda every: every[-1],
        "sum": lambda every: sum(every),
        "sum from a step on": lambda every: sum(every[FROM:]),
        "mean": lambda every: sum(every) / T,
        "weighed": lambda every: sum((0.3 + 0.1 * t) * one for t, one in enumerate(every)),
    }[reads]
    np.testing.assert_allclose(readout.weight, impulses(keep, told), rtol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(Engine(graph).simulate(x.movedim(1, 0).numpy()).outputs, module(x), atol=1e-5)


def test_a_current_before_it_may_decay_channel_by_channel_too(x):
    module = Leaky(READS["sum"], second=torch.linspace(0.1, 0.8, CLASSES))
    with torch.no_grad():
        np.testing.assert_allclose(
            Engine(drawn(module)).simulate(x.movedim(1, 0).numpy()).outputs, module(x), atol=1e-5
        )


def test_the_highest_of_such_membranes_is_a_peak(x):
    module = Leaky(lambda every: torch.stack(every, 1).max(1)[0])
    graph = drawn(module)
    (peak,) = graph.nodes_of(Peak).values()
    np.testing.assert_array_equal(peak.decay, module.keep.detach().numpy())
    with torch.no_grad():
        np.testing.assert_allclose(Engine(graph).simulate(x.movedim(1, 0).numpy()).outputs, module(x), atol=1e-6)


def test_quantised_it_is_the_same_sums_in_whole_numbers_wherever_it_runs(x, tmp_path):
    graph = drawn(Leaky(READS["sum"]))
    frames = x.numpy()
    integers = spikeport.quantize(graph, data=frames, labels=np.zeros(len(x), np.int64)).graph
    (readout,) = integers.nodes_of(Readout).values()
    assert readout.weight.shape == (T, CLASSES)
    assert readout.weight.dtype.kind == "i"
    ours = spikeport.simulate(integers, frames)
    for name, form in (("a.nir", nir), ("a.onnx", onnx)):
        form.write(integers, tmp_path / name)
        assert form.read(tmp_path / name)[0] == integers
    for target in ("onnxruntime", "lava"):
        np.testing.assert_array_equal(spikeport.simulate(integers, frames[:4], target=target).outputs, ours.outputs[:4])
    (out, real) = integers["out"], graph["readout"].weight
    np.testing.assert_allclose(readout.weight / 2**12, real / real.max(), atol=0.5 / 2**12 + 1e-6)
    spikes = Engine(integers).simulate(x.movedim(1, 0).numpy(), Request(trains=True)).trains["spikes"].unpack()
    sums = (spikes.astype(np.int64) @ out.weight.astype(np.int64).T) * 2.0**out.exponent
    np.testing.assert_array_equal(ours.outputs, (readout.weight[:, None] * (np.floor(sums) * 64 + readout.bias)).sum(0))


def test_samples_end_with_the_last_weights_and_each_channel_has_its_own():
    rng = np.random.default_rng(0)
    weight, x, lengths = rng.normal(size=(4, 3)), rng.normal(size=(4, 5, 3)), np.array([1, 2, 3, 4, 4])
    told = at_ends(torch.tensor(weight), torch.tensor(x), torch.tensor(lengths)).numpy()
    for n, length in enumerate(lengths):
        np.testing.assert_allclose(told[n], (weight[4 - length :] * x[:length, n]).sum(0), rtol=1e-12)


def test_weights_that_fit_no_channels_are_refused():
    with pytest.raises(SpikeportError, match="SP104"):
        Readout((3,), np.ones((4, 2), np.float32))


def test_a_file_says_that_its_readout_needs_this_version(tmp_path):
    nodes = {"input": Input((2,)), "fc": Linear(np.ones((3, 2), np.int8))}
    nodes["out"] = Readout((3,), np.arange(6, dtype=np.int32).reshape(2, 3))
    nir.write(Graph(nodes, (("input", "fc"), ("fc", "out")), 2, Loihi(LOIHI2)), tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir") as file:
        assert "readout-channels" in json.loads(file["node/metadata/spikeport/facts"][()])["requires"]
