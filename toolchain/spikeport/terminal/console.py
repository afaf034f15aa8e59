"""The terminal: progress for whatever takes longer than two seconds, on stderr, and nothing of it in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from spikeport.findings import fail
from spikeport.target import Progress as Callback
from spikeport.target import silent
from spikeport.text import printable


@dataclass
class Settings:
    """What the user asked of the terminal."""

    quiet: bool = False
    json: bool = False  #: results and errors are JSON


LONG = 2.0  #: seconds after which a person wants to see that something goes on

settings = Settings()
stderr = Console(stderr=True)
stdout = Console()


class Rate(ProgressColumn):
    """How many of a unit a second, over the last half minute; nothing before two reports."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:,.{0 if speed >= 100 else 1 if speed >= 1 else 3}f} {self.unit}/s")


def columns(unit: str) -> tuple[ProgressColumn, ...]:
    """The columns of every progress bar: what, how far, how fast, elapsed, remaining."""
    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        Rate(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


class Watched:
    """A bar that counts, and below it a line for each part that counts nothing, with the time that it takes."""

    def __init__(self, bar: Progress, title: str) -> None:
        self.bar, self.task = bar, bar.add_task(printable(title), total=None)

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)

    def begins(self, what: str) -> None:
        """A part begins; the one before it is over."""
        self.bar.stop_task(self.task)
        self.task = self.bar.add_task(what, total=None)


@contextmanager
def progress(title: str, unit: str = "samples") -> Iterator[Callback]:
    """A progress bar as the callback that targets take: ``callback(done, total)``, counted in ``unit``."""
    if settings.quiet or not stderr.is_terminal:
        yield silent
        return
    with Progress(*columns(unit), console=stderr, transient=True) as bar:
        yield Watched(bar, title)


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """A line with the time that passes, from two seconds on: for what counts nothing and is mostly done at once."""
    if settings.quiet or not stderr.is_terminal:
        yield
        return
    shown = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=28), TimeElapsedColumn())
    bar = Progress(*shown, console=stderr, transient=True)
    bar.add_task(printable(title), total=None)
    begins = Timer(LONG, bar.start)
    begins.daemon = True
    begins.start()
    try:
        yield
    finally:
        begins.cancel()
        begins.join()
        bar.stop()


def say(text: str) -> None:
    """One line for a person, on stderr; nothing under --quiet."""
    if not settings.quiet:
        stderr.print(printable(text), highlight=False, markup=False, emoji=False, soft_wrap=True)


def echo(text: str, *, err: bool = False) -> None:
    """One line of a result. Raises SP973 where the output takes no more; a pipe that is closed stays one."""
    try:
        typer.echo(printable(text), err=err)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        fail("SP973", f"the output could not be written ({error.strerror})", mend="send it to a place with room")


def drop_output() -> None:
    """Let standard output lead nowhere, so that Python does not try again at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def interactive() -> bool:
    """Whether a person watches."""
    return sys.stdout.isatty() and not settings.quiet


def following(name: str) -> None:
    """Say, to a person, what takes its time with another tool's model."""
    if stderr.is_terminal:
        say(f"{name}: following the neurons that its operators make up, and proving them")


def compiling() -> None:
    """Say, to a person, why the first use takes its time."""
    if stderr.is_terminal:
        say("compiling loops for this processor: some seconds, once")
