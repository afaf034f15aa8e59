"""Sequences of unequal length: each is run, counted and read out to its own last step, on every target."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.engine import simulate
from spikeport.engine.lengths import run_to_ends, to_ends
from spikeport.engine.resume import run_in_parts
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Graph, Input, Linear, Readout, Samples
from spikeport.passes.first_steps import first_steps
from spikeport.record import Record, join
from spikeport.target import Request
from spikeport.training import PLIF
from spikeport.training import Linear as TrainedLinear
from spikeport.training import Readout as TrainedReadout
from spikeport.training.catalogue import method
from spikeport.training.ends import at_ends, check_ends
from spikeport.training.loop import train_step
from spikeport.training.losses import listening
from spikeport.training.recipe import Recipe
from spikeport.verbs.execute import execute
from spikeport.verbs.load import load_model
from spikeport.verbs.shards import runs_on

STEPS, INPUTS, HIDDEN, CLASSES = 6, 3, 8, 4
LENGTHS = np.array([6, 1, 4, 3, 6, 2])
RANDOM = np.random.default_rng(7)
X = RANDOM.integers(-2, 3, (STEPS, len(LENGTHS), INPUTS)).astype(np.float32)
FIRST = RANDOM.integers(-2, 3, (HIDDEN, INPUTS)).astype(np.float32)
LAST = RANDOM.integers(-2, 3, (CLASSES, HIDDEN)).astype(np.float32)
THETA = (1 + np.arange(STEPS, dtype=np.float32) % 3).astype(np.float32)
WEIGHTS = (2.0 ** np.arange(STEPS)).astype(np.float32)  #: of the readout, no two alike
BIAS = np.float32(0.25)  #: silent neurons fire in time without any input
ALL = Request(trains=True, membranes=True, events=True)


def network():
    nodes = {
        "input": Input((INPUTS,), "events"),
        "first": Linear(FIRST),
        "lif": LIF((HIDDEN,), np.float32(0.5), THETA, bias=BIAS),
        "last": Linear(LAST),
        "out": Readout((CLASSES,), WEIGHTS),
    }
    return Graph.chain(nodes, timesteps=STEPS)


def alone(sequence):
    """One sequence [L, inputs] by the equations, exact in halves: spikes [L, hidden] and the output."""
    v, spikes = np.zeros(HIDDEN), []
    for t, frame in enumerate(sequence):
        u = 0.5 * v + FIRST @ frame + BIAS
        spikes.append(u >= THETA[t])
        v = np.where(spikes[-1], 0, u)
    weights = WEIGHTS[STEPS - len(sequence) :]
    return np.array(spikes), sum(w * (LAST @ s) for w, s in zip(weights, spikes, strict=True))


def padded(x=X, fill=9.0):
    """The sequences with something loud behind their ends."""
    behind = np.arange(STEPS)[:, None] >= LENGTHS
    return np.where(behind[..., None], np.float32(fill), x)


def ends():
    return Samples(padded(), "events").ending(LENGTHS, "here")


def test_each_sample_is_read_out_at_its_own_last_step_and_does_nothing_behind_it():
    record = run_to_ends(simulate, network(), ends(), ALL)
    train, membranes = record.trains["lif"].unpack(), record.membranes["lif"]
    fired = np.zeros(STEPS)
    for number, length in enumerate(LENGTHS):
        spikes, output = alone(X[:length, number])
        assert np.array_equal(train[:length, number], spikes)
        assert np.array_equal(record.outputs[number], output)
        assert not train[length:, number].any()
        assert not membranes[length:, number].any()
        fired[:length] += spikes.sum(1)
    assert record.spike_counts["lif"].tolist() == fired.tolist()
    running = [(t < LENGTHS).sum() for t in range(STEPS)]
    assert record.events["lif"].updates.tolist() == [HIDDEN * n for n in running]
    assert record.events["first"].dense.tolist() == [HIDDEN * INPUTS * n for n in running]
    assert np.array_equal(record.rates()["lif"], fired / (np.array(running) * HIDDEN))
    assert [finding.code for finding in record.findings] == ["SP245"]


def test_what_lies_behind_an_end_is_zero_and_equal_lengths_are_no_lengths():
    samples = ends()
    assert np.array_equal(samples.array, padded(fill=0.0))
    assert samples.take([2, 1]).lengths.tolist() == samples.cut(1, 3).lengths[::-1].tolist() == [4, 1]
    assert Samples(X, "events").ending([STEPS] * 6, "here").given is X
    assert to_ends(simulate, None) is simulate


@pytest.mark.parametrize("lengths", [[6] * 5, [0] + [6] * 5, [7] + [6] * 5, [1.5] + [6] * 5, ["6"] * 6, [[6]] * 6])
def test_what_are_no_lengths_is_refused(lengths):
    with pytest.raises(SpikeportError, match="SP244"):
        Samples(X, "events").ending(lengths, "here")
    with pytest.raises(SpikeportError, match="SP244"):
        Samples(X[0], "direct").ending([1] * 6, "here")
    with pytest.raises(SpikeportError, match="SP113"):
        first_steps(network(), 0)


@pytest.mark.parametrize("way", ["reference", "onnxruntime", "parts", "shards"])
def test_targets_shards_and_parts_give_one_record(way, tmp_path):
    """A target knows nothing of lengths; parts and shards are cut across them."""
    model = load_model(network())
    if way == "parts":

        def run(graph, part, wishes):
            return execute(model, "reference", part, wishes)

        record = run_in_parts(run, model.graph, ends(), tmp_path, size=4)
    elif way == "shards":
        record = join([record for _, record in runs_on("here", model, "reference", ends(), Request(), 4)])
    else:
        record = execute(model, way, ends(), Request(trains=True))
    assert np.array_equal(record.outputs, [alone(X[:n, i])[1] for i, n in enumerate(LENGTHS)])
    assert record.lengths.tolist() == LENGTHS.tolist()
    record.save(tmp_path / "record.npz")
    again = Record.load(tmp_path / "record.npz")
    assert again.lengths.tolist() == LENGTHS.tolist()
    assert again.first(2).lengths.tolist() == [6, 1]


def module():
    torch.manual_seed(0)
    net = nn.Sequential(
        TrainedLinear(INPUTS, HIDDEN, bias=False),
        PLIF(method("fixed"), STEPS, decay=0.5),
        TrainedLinear(HIDDEN, CLASSES),
        TrainedReadout(STEPS),
    )
    net[0].weight.data = torch.from_numpy(FIRST)
    net[3].weight.copy_(torch.from_numpy(WEIGHTS))
    return net.eval()


def test_a_module_is_read_where_its_graph_is():
    net = module()
    model = load_model((net, (INPUTS,), {"coding": "events"}))
    theirs, ours = (execute(model, name, ends(), Request(trains=True)) for name in ("pytorch", "reference"))
    assert np.array_equal(theirs.trains["1"].unpack(), ours.trains["1"].unpack())
    np.testing.assert_allclose(theirs.outputs, ours.outputs, rtol=1e-5, atol=1e-5)
    assert theirs.spike_counts["1"].tolist() == ours.spike_counts["1"].tolist()
    model = load_model((nn.Sequential(*net[:3]), (INPUTS,), {"coding": "events"}))
    with pytest.raises(SpikeportError, match="SP246"):
        execute(model, "pytorch", ends())


def test_a_training_reads_each_sample_at_its_own_end_and_no_further():
    """The loss and its gradients are those of the outputs that the equation gives, whatever stands behind the ends."""
    recipe = Recipe(model="m", dataset="d", network="n", timesteps=STEPS, epochs=1)
    y, lengths = torch.tensor([0, 1, 2, 3, 0, 1]), torch.from_numpy(LENGTHS)
    gradients = []
    for fill in (0.0, 9.0):
        net = module().train()
        optimiser = torch.optim.SGD(net.parameters(), 0.0)
        x = torch.from_numpy(padded(fill=fill))
        loss, _ = train_step(net, x, y, optimiser, recipe, lengths)
        gradients.append(net[2].weight.grad.clone())
    with listening(net) as heard:
        net(x)
    weights = net[3].weight
    outputs = [sum(weights[STEPS - n + t] * heard[0][t, b] for t in range(n)) for b, n in enumerate(LENGTHS.tolist())]
    torch.testing.assert_close(at_ends(weights, heard[0], lengths), torch.stack(outputs))
    expected = nn.functional.cross_entropy(torch.stack(outputs), y)
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert torch.equal(*gradients)


def test_losses_of_every_step_are_refused():
    for fields in ({"loss": "tet"}, {"also": {"im": 0.1}}):
        with pytest.raises(SpikeportError, match="SP324"):
            check_ends(module(), Recipe(model="m", dataset="d", network="n", timesteps=STEPS, epochs=1, **fields))


def test_a_quantised_network_is_calibrated_compared_and_priced_to_the_ends(tmp_path):
    """Whatever the file holds behind the ends; integers and real numbers part nowhere behind one."""
    y = np.arange(6) % CLASSES
    made = []
    for fill in (0.0, 9.0):
        np.savez(tmp_path / f"{fill}.npz", x=padded(fill=fill), y=y, lengths=LENGTHS)
        made.append(spikeport.quantize(network(), data=tmp_path / f"{fill}.npz"))
    assert np.array_equal(made[0].graph["first"].weight, made[1].graph["first"].weight)
    assert np.array_equal(made[0].graph["lif"].threshold, made[1].graph["lif"].threshold)
    compared = spikeport.compare(network(), made[1].graph, samples=tmp_path / "9.0.npz")
    assert compared.parity.spikes_compared == HIDDEN * LENGTHS.sum()
    assert compared.parity.mismatches_above_rounding is None or compared.parity.mismatches_above_rounding >= 0
    counted = spikeport.events(made[1].graph, samples=tmp_path / "9.0.npz").record
    assert int(counted.events["lif"].updates.sum()) == HIDDEN * LENGTHS.sum()
