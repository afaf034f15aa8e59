"""What a command sets for its own process: how long threads of torch turn while they wait, unless its user says so."""

from __future__ import annotations

import os

import pytest

from spikeport import process

POLICY, SPINS = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"


@pytest.fixture
def environment(monkeypatch):
    """Without these two; what a test sets is taken back."""
    monkeypatch.setattr(process, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k not in (POLICY, SPINS)})
    return os.environ


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {POLICY: "PASSIVE", SPINS: str(process.TURNS)}),
        ({SPINS: "5"}, {POLICY: "PASSIVE", SPINS: "5"}),
        ({POLICY: "ACTIVE"}, {POLICY: "ACTIVE"}),
        ({POLICY: "PASSIVE"}, {POLICY: "PASSIVE"}),
    ],
)
def test_threads_of_a_training_soon_sleep_unless_the_user_has_set_how_they_wait(environment, given, kept):
    environment.update(given)
    process.settle()
    assert {name: environment[name] for name in (POLICY, SPINS) if name in environment} == kept


def test_a_command_that_does_not_train_leaves_threads_as_they_are(environment):
    process.settle(trains=False)
    assert POLICY not in environment
    assert SPINS not in environment
