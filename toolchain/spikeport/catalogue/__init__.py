"""The stable error codes, one TOML file a room: what each means, why it matters, how to mend it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from spikeport.findings import fail


@dataclass(frozen=True, slots=True)
class Page:
    """What the documentation says of one code."""

    code: str
    title: str
    why: str
    mend: str


@cache
def pages() -> dict[str, Page]:
    """Every code's page, sorted by code."""
    catalogue: dict[str, Page] = {}
    for file in files(__name__).iterdir():
        if file.name.endswith(".toml"):
            entries = tomllib.loads(file.read_text(encoding="utf-8"))
            catalogue |= {code: Page(code, **entry) for code, entry in entries.items()}
    return dict(sorted(catalogue.items()))


def page(code: str) -> Page:
    """The page of one code. Raises SP901 for a code that there is not."""
    if code not in pages():
        fail("SP901", f"there is no code {code!r}", mend="spikeport explain lists all codes")
    return pages()[code]
