"""What the progress bar shows a person: how far, how fast, how long it will take still."""

from __future__ import annotations

import io
import time
from contextlib import ExitStack, nullcontext
from importlib import import_module

import pytest
from rich.console import Console
from rich.progress import Progress

from spikeport.target import begins, silent
from spikeport.terminal import console
from spikeport.terminal.command import _watched
from spikeport.terminal.results import shown as shown_as


def shown(seconds, reports, total):
    """The text of the bar after reports of samples done, ``seconds`` apart."""
    now = [0.0]
    screen = Console(file=io.StringIO(), force_terminal=True, width=140, color_system=None)
    with Progress(*console.columns("samples"), console=screen, auto_refresh=False, get_time=lambda: now[0]) as bar:
        task = bar.add_task("simulate", total=None)
        for done in reports:
            bar.update(task, completed=done, total=total)
            now[0] += seconds
        bar.refresh()
    return screen.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "reports", "total", "rate", "left"),
    [
        (2.0, (500, 1000, 1500, 2000), 10_000, "250 samples/s", "0:00:32"),
        (0.5, (4000, 8000), 80_000, "8,000 samples/s", "0:00:09"),
        (8.0, (1, 2, 3), 63, "0.125 samples/s", "0:08:00"),
        (0.25, (1, 2, 3), 23, "4.0 samples/s", "0:00:05"),
    ],
)
def test_the_bar_has_the_rate_and_the_time_that_is_left(seconds, reports, total, rate, left):
    text = shown(seconds, reports, total)
    assert f" {rate} " in text
    assert f"left {left}" in text
    assert f"{reports[-1]}/{total}" in text


def test_there_is_no_rate_before_there_is_one():
    assert "/s" not in shown(1.0, (5,), 10)


def test_a_part_that_counts_nothing_has_a_line_of_its_own(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(console, "stderr", screen)
    with console.progress("compare") as at:
        at(10, 10)
        begins(at, "looking for causes")
    assert "10/10" in screen.file.getvalue()
    assert "looking for causes" in screen.file.getvalue()
    begins(silent, "nothing is shown")


@pytest.mark.parametrize(("long", "seen"), [(0.01, True), (60.0, False)])
def test_what_counts_nothing_has_a_line_once_it_takes_long(monkeypatch, long, seen):
    """And the line is gone afterwards, whatever came of it."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(console, "stderr", screen)
    monkeypatch.setattr(console, "LONG", long)

    def work(seconds):
        time.sleep(seconds)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), console.waiting("inspect"):
        work(0.3)
    assert ("inspect" in screen.file.getvalue() and "0:00:00" in screen.file.getvalue()) == seen
    monkeypatch.setattr(console.settings, "quiet", True)
    quiet = Console(file=io.StringIO(), force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(console, "stderr", quiet)
    with console.waiting("inspect"):
        time.sleep(0.1)
    assert not quiet.file.getvalue()


@pytest.mark.parametrize("name", ["inspect", "check", "fit", "export"])
def test_each_verb_that_reads_a_model_shows_that_it_goes_on(monkeypatch, name):
    verb, lines = getattr(import_module(f"spikeport.verbs.{name}"), name), []
    monkeypatch.setattr(console, "waiting", lambda title: nullcontext(lines.append(title)))
    with ExitStack() as bars:
        assert _watched(verb, shown_as(name), bars) == {}
    assert lines == [name]


def test_what_is_not_samples_is_not_called_so(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(console, "stderr", screen)
    with console.progress("reading recordings", "files") as at:
        for number in range(1, 4):
            at(number, 3)
    assert "files/s" in screen.file.getvalue()
    assert "samples" not in screen.file.getvalue()
