"""Sequences of unequal length through modules of other libraries: each runs their steps alone, as it does by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.findings import SpikeportError
from spikeport.graph import Samples
from spikeport.target import Request
from spikeport.verbs.execute import execute
from spikeport.verbs.load import load_data, load_model

STEPS, INPUTS, HIDDEN, CLASSES = 6, 5, 16, 3
LENGTHS = np.array([6, 1, 4, 3, 6, 2])
X = np.random.default_rng(3).random((len(LENGTHS), STEPS, INPUTS)).astype(np.float32)  #: [B, T, inputs]
Y = np.arange(len(LENGTHS)) % CLASSES


class Net(nn.Module):
    """Neurons by hand; ``read`` makes a result of what the last layer gives, a tensor a step."""

    def __init__(self, read, steps=None):
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b, self.c = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, CLASSES), nn.Linear(CLASSES, CLASSES)
        with torch.no_grad():
            self.a.weight *= 2
        self.read, self.steps = read, steps

    def forward(self, x):  # [T, B, inputs]
        u, out = torch.zeros(x.shape[1], HIDDEN), []
        for t in range(self.steps or len(x)):
            u = 0.75 * u + self.a(x[t])
            spikes = (u >= 0.5).to(x.dtype)
            u = u * (1 - spikes)
            out.append(self.b(spikes))
        return self.read(self, out)


READS = {
    "sum": lambda net, out: torch.stack(out).sum(0),
    "mean": lambda net, out: torch.stack(out).mean(0),
    "over a loop": lambda net, out: sum(out) / len(out),
    "last": lambda net, out: out[-1],
    "fading": lambda net, out: sum(0.5 ** (len(out) - 1 - t) * each for t, each in enumerate(out)),
    "each step": lambda net, out: torch.stack(out),
    "of the mean": lambda net, out: net.c(torch.stack(out).mean(0)),
}
#: which are means, of which a sample of L steps has the share L / T
MEANS = ("mean", "over a loop", "each step", "of the mean")


def samples():
    return Samples(X.swapaxes(0, 1), "events").ending(LENGTHS, "here")


def model(net):
    return load_model((net.eval(), (INPUTS,), {"coding": "events", "timesteps": STEPS}))


def alone(net, number):
    """What the module itself makes of one sequence, in plain torch."""
    with torch.no_grad():
        return net(torch.from_numpy(X[number, : LENGTHS[number], None])).numpy()


@pytest.mark.parametrize("read", READS)
def test_a_module_runs_the_steps_of_each_sequence_alone(read):
    net = Net(READS[read])
    loaded = model(net)
    theirs, ours = (execute(loaded, name, samples(), Request(trains=True)) for name in ("pytorch", "reference"))
    for number, length in enumerate(LENGTHS):
        result = alone(net, number)
        result = result.mean(0) if read == "each step" else result
        share = length / STEPS if read in MEANS else 1.0
        np.testing.assert_allclose(theirs.outputs[number], share * result[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.outputs, theirs.outputs, rtol=1e-4, atol=1e-5)
    (layer,) = theirs.trains
    train = theirs.trains[layer].unpack()
    assert 0.05 < train.mean() < 0.95
    assert np.array_equal(train, ours.trains[layer].unpack())
    assert not any(train[length:, number].any() for number, length in enumerate(LENGTHS))


def test_a_module_that_is_another_on_fewer_steps_is_refused_with_its_reason():
    weighed = Net(lambda net, out: sum((t + 1) * each for t, each in enumerate(out)))
    added = Net(lambda net, out: net.c(sum(out)))  # its bias once, where the graph has a share of it each step
    first = Net(lambda net, out: out[0])  # which no sample that ends early ends with
    fixed = Net(READS["sum"], steps=STEPS)
    for net, words in (
        (weighed, "weighs them otherwise"),
        (added, "weighs them"),
        (first, "weighs them"),
        (fixed, "cannot be followed on 1"),
    ):
        loaded = model(net)
        with pytest.raises(SpikeportError, match=f"SP246.*{words}") as caught:
            execute(loaded, "pytorch", samples())
        assert "--target reference" in caught.value.findings[0].mend
        assert execute(loaded, "reference", samples()).samples == len(LENGTHS)
        assert execute(loaded, "pytorch", X.swapaxes(0, 1)).samples == len(LENGTHS)


def test_a_whole_run_takes_another_librarys_module_and_such_samples(tmp_path):
    """In float64, too: every spike of every sample's own steps is compared."""
    np.savez(tmp_path / "x.npz", x=X, y=Y, lengths=LENGTHS)
    result = spikeport.run(Net(READS["mean"]), tmp_path, data=tmp_path / "x.npz", frames=True, target="integer")
    for stage in ("graph", "graph_float64", "nir"):
        assert result["parity"][stage]["spike_mismatches"] == 0, stage
        assert result["parity"][stage]["spikes_compared"] == HIDDEN * LENGTHS.sum(), stage


@pytest.mark.parametrize("also", ["lengths", "y"])
def test_so_many_steps_as_samples_have_where_their_number_is_told(tmp_path, also):
    """Of [B, T, inputs] those are the second axis: labels and lengths say how many samples there are."""
    np.savez(tmp_path / "x.npz", x=X[:4], **{also: {"lengths": LENGTHS[:4], "y": Y[:4]}[also]})
    loaded = load_model(Net(READS["sum"]), data=tmp_path / "x.npz", frames=True)
    assert loaded.graph.timesteps == STEPS
    data = load_data(tmp_path / "x.npz", "test", loaded.graph)
    assert np.array_equal(data.x[:1], X[:4].swapaxes(0, 1)[:1])
    assert all(finding.where == str(tmp_path / "x.npz") for finding in data.findings if finding.code == "SP231")


def test_samples_with_lengths_say_that_they_have_frames(tmp_path):
    np.savez(tmp_path / "x.npz", x=X, lengths=LENGTHS)
    net = Net(READS["sum"])
    assert load_model(net, data=tmp_path / "x.npz").graph == load_model(net, data=tmp_path / "x.npz", frames=True).graph
