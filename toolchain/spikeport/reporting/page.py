"""Builds the page: facts from ``result.json``, laid out by a template, in one file that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from spikeport.files import write_text
from spikeport.reporting import numbers, sections, whys
from spikeport.reporting.cores import cores
from spikeport.reporting.spikes import panels
from spikeport.reporting.svg import drawing
from spikeport.reporting.verdict import name_of, verdict
from spikeport.text import printable


def write(result: Mapping[str, Any], path: Path | str, figures: Mapping[str, Any] | None = None) -> Path:
    """Write the report of a run to ``path``, by way of a temporary name, and return the path.

    ``result`` is what stands in ``result.json``; every section that has no facts is left out. ``figures`` is what
    `spikeport.reporting.figures` gathers from records and graphs: rasters, causes and histograms to drill down into.
    """
    path = Path(path)
    write_text(path, render(result, figures))
    return path


def render(result: Mapping[str, Any], figures: Mapping[str, Any] | None = None) -> str:
    """The page as text."""
    figures = figures or {}
    parts: dict[str, Any] = {
        "title": _title(result),
        "subtitle": _subtitle(result),
        "verdict": verdict(result),
        "accuracy": sections.accuracy(result),
        "parities": sections.parities(result, figures.get("rasters", {})),
        "thresholds": sections.over_time(result.get("thresholds", {}), "threshold", from_zero=False),
        "rates": sections.over_time(result.get("firing_rate", {}), "firing rate", from_zero=True),
        "energy": sections.energy(result.get("energy_joule_per_sample", {})),
        "costs_said": sections.costs_said(result),
        "cores": cores(result),
        "core_map": drawing(figures.get("cores", "")),
        "training": sections.training(result.get("training", [])),
        "spikes": panels(figures.get("spikes", {})),
        "spikes_said": figures.get("spikes", {}).get("caption", ""),
        "integers": sections.integers(figures.get("mantissas", {})),
        "whys": whys.causes(result),
        "mantissas": sections.mantissas(figures.get("histograms", {})),
        "graph": drawing(figures.get("graph", "")),
        "findings": [{"where": "", "why": "", **one} for one in result.get("findings", [])],
        "speed": result.get("samples_per_second", {}) or result.get("seconds", {}),
        "rates_a_second": result.get("samples_per_second", {}),
        "seconds": result.get("seconds", {}),
        "provenance": sections.provenance(result),
        "drill": Markup(_embedded(figures.get("rasters", {}))),
        "style": Markup(_text("style.css")),
        "script": Markup(_text("script.js")),
    }
    there = {"provenance"} | {name for name in sections.CONTENTS if parts.get(name)}
    there |= {"parity"} if parts["whys"] else set()
    contents = [(name, title) for name, title in sections.CONTENTS.items() if name in there]
    return printable(_template().render(**parts, contents=contents if len(contents) > 2 else []))


def _title(result: Mapping[str, Any]) -> str:
    parts = [result.get("model", "spikeport"), result.get("dataset", "")]
    return " on ".join(str(part) for part in parts if part)


def _subtitle(result: Mapping[str, Any]) -> str:
    facts = []
    if result.get("method"):
        facts.append(f"trained with {result['method']}")
    if result.get("timesteps"):
        facts.append(f"{result['timesteps']} timesteps")
    if result.get("device"):
        facts.append(f"run on {result['device']}")
    return " · ".join(facts)


def _embedded(value: Any) -> str:
    """JSON that cannot close the script element it sits in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _text(name: str) -> str:
    return files("spikeport.reporting").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    for name in ("percent", "si", "whole", "seconds", "plain", "points", "typeset"):
        environment.filters[name] = getattr(numbers, name)
    environment.filters["stage"] = name_of
    return environment.from_string(_text("page.html.j2"))
