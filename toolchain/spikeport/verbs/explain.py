"""``spikeport explain``: the page of an error code."""

from __future__ import annotations

from spikeport.catalogue import Page, page, pages


def explain(code: str) -> Page:
    """What a code means, why it matters and how to mend it. Raises SP901 for a code that there is not."""
    return page(code.upper())


def codes() -> dict[str, Page]:
    """Every code with its page."""
    return dict(pages())
