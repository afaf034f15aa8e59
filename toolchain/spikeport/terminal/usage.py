"""What is wrong with a command line: typer's own words for a person, an error with a code where JSON was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from spikeport.findings import fail
from spikeport.terminal import console
from spikeport.text import printable

USAGE: Any = typer.BadParameter.__base__  #: of typer's errors those of a line: unknown, missing, or of no such kind


class Verbs(TyperGroup):
    """The group of all verbs."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """The line up to the verb."""
        with _coded():
            return super().make_context(*arguments, **options)

    def invoke(self, context: Any) -> Any:
        """The verb and its options."""
        with _coded():
            return super().invoke(context)


@contextmanager
def _coded() -> Iterator[None]:
    """Where JSON was asked for, what typer refuses is SP910."""
    try:
        yield
    except USAGE as error:
        if not console.settings.json:
            error.message = printable(error.message)
            raise
        command = error.ctx.command_path if error.ctx is not None else "spikeport"
        fail("SP910", error.format_message().rstrip("."), where=command, mend=f"{command} --help lists its options")
