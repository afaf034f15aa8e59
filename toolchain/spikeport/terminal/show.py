"""How verbs print: JSON where it is asked for, tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from spikeport.files import plain
from spikeport.findings import Finding
from spikeport.terminal import console
from spikeport.text import printable


def as_json(value: Any) -> None:
    """Print what is `plain` of a value as JSON."""
    console.echo(json.dumps(plain(value), indent=1, default=str))


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a person; tab-separated columns under a line ``# title`` for a pipe."""
    if not console.interactive():
        console.echo(f"# {title}")
        console.echo("\t".join(head))
        for row in rows:
            console.echo("\t".join(_cell(cell) for cell in row))
        return
    shown = Table(
        title=Text(printable(title)), title_justify="left", header_style="bold", box=None, padding=(0, 2, 0, 0)
    )
    lines = [[_cell(cell) for cell in row] for row in rows]
    head = [_cell(name) for name in head]
    columns = list(zip(head, *lines, strict=True))
    for name, width in zip(head, _widths(columns, console.stdout.width - 2 * len(columns)), strict=True):
        shown.add_column(Text(name), overflow="fold", width=width)
    for line in lines:
        shown.add_row(*map(Text, line))  # text, whatever stands between square brackets
    console.stdout.print(shown)


def _cell(value: object) -> str:
    """One line of text, so that a name cannot begin a line or a column of its own."""
    return printable(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Characters for each column: its longest word at least, so that no name is cut, and its longest cell at most.

    Where there is no room even for the words, the widest columns but the first give way.
    """
    most = [max(map(len, column)) for column in columns]
    widths = [max(len(word) for cell in column for word in (cell.split() or [""])) for column in columns]
    while sum(widths) > room and max(widths) > 1:
        widest = max(range(len(widths)), key=lambda i: (widths[i] if i else min(widths[0], room // 3), i))
        widths[widest] -= 1
    while sum(widths) < room and widths != most:
        widths[max(range(len(widths)), key=lambda i: most[i] - widths[i])] += 1
    return widths


def findings(remarks: Iterable[Finding]) -> None:
    """Say, on stderr, what was chosen or substituted on the way."""
    for finding in remarks:
        console.say(str(finding))
