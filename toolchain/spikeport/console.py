"""The terminal: progress for whatever takes longer than two seconds, on stderr, and nothing of it in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from spikeport.targets import Progress as Callback
from spikeport.targets import silent


@dataclass
class Settings:
    """What the user asked of the terminal."""

    quiet: bool = False


settings = Settings()
stderr = Console(stderr=True)
stdout = Console()


def columns(*extra: TextColumn) -> tuple[object, ...]:
    """The columns of every progress bar: what, how far, elapsed, remaining."""
    return (
        TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), *extra,
    )  # fmt: skip


@contextmanager
def progress(title: str) -> Iterator[Callback]:
    """A progress bar as the callback that targets take: ``callback(done, total)``."""
    if settings.quiet or not stderr.is_terminal:
        yield silent
        return
    with Progress(*columns(), console=stderr, transient=True) as bar:  # type: ignore[arg-type]
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say(text: str) -> None:
    """One line for a person, on stderr; nothing under --quiet."""
    if not settings.quiet:
        stderr.print(text, highlight=False, soft_wrap=True)


def interactive() -> bool:
    """Whether a person watches."""
    return sys.stdout.isatty() and not settings.quiet
