"""Where adding events takes as long as multiplying is tried once, on few samples, and only where it is in doubt."""

from __future__ import annotations

import pytest
import torch

from spikeport.engine.cpu import trial


class Clock:
    """Two ways that take known times, and what they were given."""

    def __init__(self, monkeypatch, adding, multiplying):
        self.now, self.given = 0.0, []
        monkeypatch.setattr(trial, "perf_counter", lambda: self.now)
        self.ways = self._way(adding), self._way(multiplying)

    def _way(self, times):
        seconds = iter(times)

        def way(x):
            self.given.append(tuple(x.shape))
            self.now += next(seconds)

        return way


def events(share, samples=10):
    """Maps [2, samples, 1, 10, 10] of which so many hundredths fire."""
    x = torch.zeros(2, samples, 1, 100, dtype=torch.uint8)
    x[..., : round(100 * share)] = 1
    return x.reshape(2, samples, 1, 10, 10)


def share(maps):
    assert maps.ndim == 4
    return float(maps.float().mean())


def test_the_share_at_which_both_are_even_follows_from_the_fastest_of_some_runs(monkeypatch):
    """0.2 events take 4 s to add, all take 3 s to multiply: 0.15 events are even."""
    clock, even = Clock(monkeypatch, (5, 4, 9), (3, 8, 3)), trial.Even()
    assert not even.few(events(0.2), share, 1, *clock.ways)
    assert even.known == pytest.approx(0.15)
    assert len(clock.given) == 2 * trial.TRIES
    assert even.few(events(0.14), share, 1, *clock.ways)
    assert not even.few(events(0.16), share, 1, *clock.ways)
    assert len(clock.given) == 2 * trial.TRIES, "tried once"


def test_nothing_is_tried_where_there_is_no_doubt_or_it_is_known(monkeypatch):
    clock = Clock(monkeypatch, (), ())
    assert trial.Even().few(events(0.02), share, 1, *clock.ways)
    assert not trial.Even().few(events(1.0), share, 1, *clock.ways)
    assert trial.Even(0.3).few(events(0.29), share, 1, *clock.ways)
    assert not trial.Even(0.3).few(events(0.31), share, 1, *clock.ways)


@pytest.mark.parametrize(("work", "samples"), [(1, 10), (trial.WORK // 8, 4), (trial.WORK, 1)])
def test_as_many_samples_are_tried_as_the_work_allows(monkeypatch, work, samples):
    clock = Clock(monkeypatch, (1,) * trial.TRIES, (1,) * trial.TRIES)
    trial.Even().few(events(0.5), share, work, *clock.ways)
    assert set(clock.given) == {(2, samples, 1, 10, 10)}


def test_samples_that_are_tried_lie_as_all_do():
    x = torch.zeros(2, 5, 4, 4, 3).movedim(-1, 2)
    some = trial._first(x, 2)
    assert some.shape == (2, 2, 3, 4, 4)
    assert some[0].stride() == x[0, :2].stride()
    assert trial._first(x, 5) is x
