"""How verbs print: JSON where it is asked for, tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from spikeport import console
from spikeport.findings import Finding, require

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int | None, typer.Option("--limit", help="Only the first N samples.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Samples at once.")]

TimeLimit = Annotated[float | None, typer.Option("--time-limit", help="Seconds that lava or sanafe may take.")]
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


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=1, default=str))


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a person, tab-separated columns for a pipe."""
    if not console.interactive():
        typer.echo("\t".join(head))
        for row in rows:
            typer.echo("\t".join(str(cell) for cell in row))
        return
    shown = Table(title=title, title_justify="left", header_style="bold")
    for name in head:
        shown.add_column(name)
    for row in rows:
        shown.add_row(*(str(cell) for cell in row))
    console.stdout.print(shown)


def findings(found: Iterable[Finding]) -> None:
    """Say, on stderr, what was chosen or substituted on the way."""
    for finding in found:
        console.say(str(finding))
