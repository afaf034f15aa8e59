"""``spikeport explain``: the page of an error code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, overload

from spikeport.catalogue import Page, page, pages
from spikeport.verbs.parameters import Help


@overload
def explain(code: str) -> Page: ...
@overload
def explain(code: None = None) -> Mapping[str, Page]: ...
def explain(
    code: Annotated[str | None, Help("SP and three digits; without it, all are listed.", place=True)] = None,
) -> Page | Mapping[str, Page]:
    """What an error code means, why it matters, and how to mend it.

    Returns its page, or all pages by code. Raises SP901 for a code that there is not.

    Examples:

        spikeport explain SP113

        spikeport explain
    """
    return dict(pages()) if code is None else page(code.upper())
