"""``spikeport explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from spikeport.terminal import show


def explain(
    code: Annotated[str | None, typer.Argument(help="SP and three digits; without it, all are listed.")] = None,
    json: show.Json = False,
) -> None:
    """What an error code means, why it matters, and how to mend it.

    Examples:

        spikeport explain SP113

        spikeport explain
    """
    from dataclasses import asdict

    from spikeport.verbs.explain import codes
    from spikeport.verbs.explain import explain as look

    if code is None:
        found = codes()
        if json:
            show.as_json({name: asdict(page) for name, page in found.items()})
        else:
            show.table("codes", ("code", "what"), [(page.code, page.title) for page in found.values()])
        return
    page = look(code)
    if json:
        show.as_json(asdict(page))
        return
    typer.echo(f"{page.code}  {page.title}\n\n{page.why}\n\n{page.mend}")
