"""``spikeport report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(path: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the result.json of a run.")]) -> None:
    """Write the HTML report of a run again, from its result.json.

    Examples:

        spikeport report build/demo

        spikeport report build/demo/result.json
    """
    from spikeport.verbs.report import report as write

    typer.echo(str(write(path)))
