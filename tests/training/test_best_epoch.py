"""The best epoch is the one of the highest validation accuracy; of equals the later one, with its own weights."""

from __future__ import annotations

import pytest
import torch

from spikeport.training import loop
from spikeport.training.loop import Training, fit
from spikeport.training.recipe import parse
from tiny_training import TINY, blobs, network


@pytest.mark.parametrize(
    ("accuracies", "best"), [([0.5, 0.75, 0.75, 0.25], 3), ([0.5, 0.5, 0.5, 0.5], 4), ([0.9, 0.5, 0.8, 0.7], 1)]
)
def test_of_equal_epochs_the_later_is_kept(monkeypatch, accuracies, best):
    remaining, states = iter(accuracies), []
    monkeypatch.setattr(loop, "accuracy", lambda module, part: next(remaining))

    def watch(training):
        states.append({name: value.clone() for name, value in training.module.state_dict().items()})

    recipe = parse({**TINY, "epochs": len(accuracies)})
    training = Training.begin(network(recipe), recipe, 20)
    epoch = fit(training, blobs(20), blobs(20), watch)
    assert epoch.epoch == training.best.epoch == best
    assert epoch.val_accuracy == max(accuracies)
    kept = states[best - 1]
    assert all(torch.equal(value, kept[name]) for name, value in training.best_state.items())
    assert any(not torch.equal(value, states[best - 2][name]) for name, value in kept.items())
