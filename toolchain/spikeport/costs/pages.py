"""The documentation of costs, generated from the data files that the program reads."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from spikeport.costs.functions import FUNCTIONS
from spikeport.costs.model import Model, shipped


@cache
def definitions() -> dict[str, dict[str, str]]:
    """What every printed figure means, by section and name."""
    text = (files("spikeport.costs") / "definitions.toml").read_text(encoding="utf-8")
    sections: dict[str, dict[str, str]] = tomllib.loads(text)
    return sections


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [
        f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in (head, ("---",) * len(head), *rows)
    ]
    return "\n".join(lines) + "\n"


def models_page() -> str:
    """All cost models: formula, and every constant with its range, unit, basis and source."""
    parts = [
        "# Cost models\n\nGenerated from the data files that the program reads. Every estimate is a function of "
        "counted events and of the constants below. Figures of different models belong to different technologies and "
        "are not divided by each other. How far each was from measured chips: [predicted and measured]"
        "(results/predicted-and-measured.md). A model of your own is such a file: `spikeport energy MODEL --data NAME "
        "--model my.toml`.\n",
        "\n## Functions\n\nA file names one of these in `function` and gives its constants.\n\n",
        table(
            ("function", "what it computes", "constants", "optional"),
            [(f"`{name}`", f.about, ", ".join(f.needs), ", ".join(f.allows)) for name, f in FUNCTIONS.items()],
        ),
    ]
    for name, model in shipped().items():
        parts.append(f"\n## {model.title}\n\n{model_text(name, model)}")
    return "".join(parts)


def model_text(name: str, model: Model) -> str:
    """One model: what it covers, and its constants."""
    asked = " Priced only when it is named: `--model " + name + "`." if model.on_request else ""
    rows: list[tuple[object, ...]] = [
        (key, f"{c.low:g}", f"{c.value:g}", f"{c.high:g}", c.unit, c.basis, c.source)
        for key, c in model.constants.items()
    ]
    head = ("constant", "low", "nominal", "high", "unit", "basis", "source")
    about = " ".join(filter(None, (*model.about.split(), model.held)))
    return f"`{name}`, function `{model.function}`. {about}{asked}\n\n{table(head, rows)}"


def definitions_page() -> str:
    """What every figure means."""
    parts = [
        "# What the figures mean\n\nEvery figure that `events`, `energy` and `fit` print, and how it was obtained.\n"
    ]
    for section, lines in definitions().items():
        rows: list[tuple[object, ...]] = [(f"`{name}`", text) for name, text in lines.items()]
        parts.append(f"\n## {section[0].upper()}{section[1:]}\n\n{table(('figure', 'meaning'), rows)}")
    return "".join(parts)
