"""How verbs print: JSON where it is asked for, tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from spikeport.findings import Finding, require
from spikeport.terminal import console

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int | None, typer.Option("--limit", help="Only the first N samples.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Samples at once.")]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", help="Or as many as take about 500MB, 2GB, …; for Lava and SANA-FE a limit."
    ),
]

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}  #: bytes
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*((?:[KMG]i?B)?)", re.IGNORECASE)

TimeLimit = Annotated[float | None, typer.Option("--time-limit", help="Seconds the run may take.")]
Dt = Annotated[float | None, typer.Option("--dt", help="Seconds a step, for NIR files that do not say.")]
Nir = Annotated[
    list[str] | None,
    typer.Option(
        "--nir", metavar="KEY=VALUE", help="What another tool's NIR file does not say: rule, reset, compare …"
    ),
]


def pairs(given: Sequence[str] | None) -> dict[str, str]:
    """``KEY=VALUE`` options as a dict. Raises SP908 for one without "="."""
    found = dict(text.partition("=")[::2] for text in given or ())
    for key, value in found.items():
        require(bool(key and value), "SP908", f"{key!r} has no value", mend="write KEY=VALUE")
    return found


def size(text: str | None) -> int | None:
    """``500MB``, ``2GB``, ``1.5GiB`` or a number of bytes. Raises SP908 for anything else."""
    if text is None:
        return None
    found = SIZE.fullmatch(text.strip())
    count = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    require(count > 0, "SP908", f"{text!r} is no size of memory", mend="write it as 500MB, 2GB or 1.5GiB")
    return count


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=1, default=str))


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a person; tab-separated columns under a line ``# title`` for a pipe."""
    if not console.interactive():
        typer.echo(f"# {title}")
        typer.echo("\t".join(head))
        for row in rows:
            typer.echo("\t".join(str(cell) for cell in row))
        return
    shown = Table(title=title, title_justify="left", header_style="bold", box=None, padding=(0, 2, 0, 0))
    lines = [[str(cell) for cell in row] for row in rows]
    columns = list(zip(head, *lines, strict=True))
    for name, width in zip(head, _widths(columns, console.stdout.width - 2 * len(columns)), strict=True):
        shown.add_column(name, overflow="fold", width=width)
    for line in lines:
        shown.add_row(*line)
    console.stdout.print(shown)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Characters for each column: its longest word at least, so that no name is cut, and its longest cell at most.

    Where there is no room even for the words, the widest columns but the first give way.
    """
    most = [max(map(len, column)) for column in columns]
    found = [max(len(word) for cell in column for word in (cell.split() or [""])) for column in columns]
    while sum(found) > room and max(found) > 1:
        widest = max(range(len(found)), key=lambda i: (found[i] if i else min(found[0], room // 3), i))
        found[widest] -= 1
    while sum(found) < room and found != most:
        found[max(range(len(found)), key=lambda i: most[i] - found[i])] += 1
    return found


def findings(found: Iterable[Finding]) -> None:
    """Say, on stderr, what was chosen or substituted on the way."""
    for finding in found:
        console.say(str(finding))
