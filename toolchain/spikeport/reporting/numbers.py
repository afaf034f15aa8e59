"""How the report writes numbers: as short as honest, with their unit."""

from __future__ import annotations

import math
import re

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}  #: SI brochure, table 7


def percent(value: float) -> str:
    """A share between 0 and 1 as a percentage; 0 % and 100 % only where it is exactly so."""
    text = f"{100 * value:.2f}"
    if (text == "100.00" and value < 1) or (text == "0.00" and value > 0):
        text = f"{100 * value:.2g}" if value < 0.5 else ">99.99"
    elif value in (0, 1):
        text = f"{100 * value:.0f}"
    return f"{text}\u202f%"


def short_percent(value: float) -> str:
    """A share for an axis."""
    return f"{100 * value:.3g}\u202f%"


def si(value: float, unit: str) -> str:
    """Three digits with an SI prefix: ``si(3.2e-7, "J")`` is 320 nJ, joined by a thin space that does not break."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}\u202f{unit}"
    power = min(max(3 * math.floor(math.log10(abs(value)) / 3), min(PREFIXES)), max(PREFIXES))
    scaled = value / 10.0**power
    if abs(float(f"{scaled:.3g}")) >= 1000 and power < max(PREFIXES):
        power, scaled = power + 3, scaled / 1000
    digits = f"{scaled:.3g}" if 0.001 <= abs(scaled) < 1000 else f"{scaled:.2e}"
    return f"{digits}\u202f{PREFIXES[power]}{unit}"


def whole(value: float) -> str:
    """A count with thin spaces between thousands."""
    return f"{round(value):,}".replace(",", "\u202f")


def points(value: float) -> str:
    """A difference of two shares, in points."""
    return f"{100 * value:+.2f}\u202fpoints"


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.1f}\u202fs" if value >= 1 else f"{1000 * value:.3g}\u202fms"


def plain(value: float) -> str:
    """Four significant digits, from 10 000 to ten million without an exponent; whole numbers there in full."""
    if 1e4 <= abs(value) < 1e7:
        return whole(value if value == round(value) else float(f"{value:.4g}"))
    return f"{value:.4g}"


def typeset(text: str) -> str:
    """A sentence as the page writes numbers: thin spaces between thousands and before percent, for a terminal's own."""
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "\u202f", text)
    return re.sub(r"(?<=\d) ?%", "\u202f%", text)


def times(value: float) -> str:
    """A share of a limit: in percent, or how many times over."""
    return percent(value) if value <= 1 else f"{value:.3g} times"
