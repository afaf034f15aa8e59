"""Drawings that were kept in a file come onto the page as what we draw, and nothing else of the file as markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from markupsafe import Markup, escape

from spikeport.findings import fail

SPACE = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "defs", "marker", "g", "path", "rect", "circle", "line", "polyline", "text", "title"}
NUMBERS = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "refX", "refY", "opacity"}
NUMBERS |= {"markerWidth", "markerHeight", "d", "points", "viewBox", "fill-opacity", "stroke-width"}
WORDS = {"class", "role", "aria-label", "data-tip", "orient"}
ONLY = {  #: attributes that are drawn with one value, or one form of it
    "id": re.compile("head"),
    "marker-end": re.compile(r"url\(#head\)"),
    "text-anchor": re.compile("start|middle|end"),
    "style": re.compile(r"fill:hsl\(\d{1,3} \d{1,3}% \d{1,3}%\)|max-width:\d{1,7}px"),
}
NUMBER = re.compile(r"[-+0-9.,eE MmLlHhVvCcSsQqTtAaZz]*")


def drawing(text: str) -> Markup:
    """An SVG of ours, written anew from its parts. Raises SP820 for elements and attributes that we never draw."""
    if not text:
        return Markup()
    try:
        if "<!" in text or "<?" in text:
            raise ValueError("more than elements")
        return Markup("".join(_written(ElementTree.fromstring(text))))
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        mend = "write it again: spikeport run, or compare --out"
        fail("SP820", f"holds a drawing that is none of ours ({error})", where="figures.json", mend=mend)


def _written(element: ElementTree.Element) -> Iterator[str]:
    name = element.tag.removeprefix(SPACE)
    if name not in ELEMENTS:
        raise ValueError(f"an element {name[:60]!r}")
    yield f"<{name}"
    for key, value in element.attrib.items():
        number = key in NUMBERS and NUMBER.fullmatch(value)
        if not number and key not in WORDS and not (key in ONLY and ONLY[key].fullmatch(value)):
            raise ValueError(f"an attribute {key[:60]!r} of {value[:60]!r}")
        yield f' {key}="{escape(value)}"'
    yield f">{escape(element.text or '')}"
    for inner in element:
        yield from _written(inner)
        yield str(escape(inner.tail or ""))
    yield f"</{name}>"
