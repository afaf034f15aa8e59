"""The measurement's arithmetic on a counter that is known: idle power is subtracted, runs and samples divide."""

from __future__ import annotations

import ctypes

import pytest

from spikeport.costs import gpu
from spikeport.findings import SpikeportError


class Board:
    """Draws 50 W idle and 5 J more for each run of 0.25 s, on a clock of its own."""

    name = "a board"

    def __init__(self):
        self.now = 0.0
        self.extra = 0.0

    def joules(self):
        return 50.0 * self.now + self.extra

    def run(self):
        self.now += 0.25
        self.extra += 5.0

    def wait(self, seconds):
        self.now += seconds


def test_idle_power_is_subtracted_and_what_is_left_divided_by_samples():
    board = Board()
    energy = gpu.measure(board.run, 4, board, batch=4, clock=lambda: board.now, wait=board.wait)
    assert energy.nominal == pytest.approx(5.0 / 4)
    assert energy.low == pytest.approx(energy.high)
    assert energy.kind == "measured"
    assert "50.0 W" in energy.notes[0]
    assert "batch 4" in energy.notes[0]
    assert board.now >= 4 * gpu.WINDOW


def test_without_a_driver_nothing_is_called_measured(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(SpikeportError, match="SP708"):
        gpu.nvml()


def test_a_board_without_a_counter_is_refused(monkeypatch):
    class Library:
        def __getattr__(self, name):
            return lambda *arguments: 3 if name.endswith("EnergyConsumption") else 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    with pytest.raises(SpikeportError, match=r"SP708.*status 3"):
        gpu.nvml()
