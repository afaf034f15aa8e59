"""Names are text: nothing in them controls a terminal, and none of them is a formula in a picture."""

from __future__ import annotations

import re

#: control characters but tab and new line, marks of direction, halves of pairs
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text with escapes in the place of what controls a terminal, turns the direction of writing, or is no text."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def as_label(text: str) -> str:
    """Text as matplotlib draws it: dollars make no formula of it, and a legend shows it though it begins with _."""
    text = printable(text).replace("\t", " ").replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
