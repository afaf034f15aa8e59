"""A step of training that is taken down once and repeated, as a CUDA graph is; here a tape stands for the graph."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from interpreted import MISSING, interpreted
from spikeport.training import loop
from spikeport.training.catalogue import METHODS
from spikeport.training.loop import Training, fit, train_step
from spikeport.training.recipe import parse
from spikeport.training.repeated import LAUNCHED, Repeated
from tape import Tape, Watch, kernels_to
from tiny_training import TINY, blobs, network

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")
SMALL = {**TINY, "architecture": {"channels": [4], "strides": [2], "kernels": [3], "hidden": 8}, "lr": 0.125}


@pytest.fixture
def kernels(monkeypatch):
    """The kernels of a card, in Triton's interpreter."""
    monkeypatch.setenv("SPIKEPORT_KERNELS", "triton")
    with interpreted():
        yield


@pytest.mark.parametrize(("method", "optimiser"), [("ds-atgo", "sgd"), ("fixed", "adamw")])
def test_steps_that_are_repeated_train_the_same_network_to_the_bit(kernels, method, optimiser):
    """Whatever Python holds by then: new batches, another rate, a smaller batch in between. 1/8 is a float32."""
    states, part = [], blobs(32)
    for tape in (None, Tape()):
        recipe = parse({**SMALL, "method": method, "optimiser": optimiser})
        training = Training.begin(network(recipe), recipe, 32)
        module, optimiser_ = training.module.train(), training.optimiser
        step = Repeated(lambda x, y: train_step(module, x, y, optimiser_, recipe), optimiser_, tape)  # noqa: B023
        told = []
        for number in range(LAUNCHED + 3):
            optimiser_.param_groups[0]["lr"] = 0.125 if number < LAUNCHED + 1 else 0.0625
            at = slice(4 * number, 4 * number + (3 if number == LAUNCHED + 1 else 4))
            told.append(step(part.x[at], part.y[at]).clone())
        assert not step.why
        assert isinstance(optimiser_.param_groups[0]["lr"], float)
        states.append([*told, *module.state_dict().values()])
    assert tape is not None
    assert tape.names.count("backward") == 2  # two layers of neurons
    assert all(map(torch.equal, *states))


@pytest.mark.parametrize("method", METHODS)
def test_no_step_of_any_method_waits_for_the_card_or_brings_it_a_value(kernels, method, monkeypatch):
    """On the device without values: reading one fails, and `Watch` sees what comes from the CPU's memory."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # torch has none for this device
    recipe = parse({**TINY, "method": method, "loss": "tet", "mpd_sgr": 0.05 if method == "fixed" else 0.0})
    module = network(recipe).to("meta").train()
    optimiser = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)  # the fused one has no such device
    x, y = torch.empty(4, 1, 8, 8, device="meta"), torch.zeros(4, dtype=torch.int64, device="meta")
    with kernels_to(lambda name, launch, given: None), Watch() as watch:
        train_step(module, x, y, optimiser, recipe)
    assert watch.seen > 100
    assert not watch.moved


def test_a_step_that_reads_a_value_is_launched_each_time_and_this_is_said(kernels, monkeypatch):
    def reading(module, x, y, *rest, **wanted):
        assert float(y.sum()) >= 0
        return train_step(module, x, y, *rest, **wanted)

    monkeypatch.setattr(loop, "train_step", reading)
    monkeypatch.setattr("spikeport.training.repeated.recorder_for", lambda device: Tape())
    recipe = parse({**SMALL, "epochs": 1, "batch": 4, "shift": 0})
    training = Training.begin(network(recipe), recipe, 20)
    fit(training, blobs(20), blobs(4, 1))
    (note,) = training.notes
    assert note.code == "SP527"
    assert "_local_scalar_dense" in note.what
