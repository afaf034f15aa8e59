"""The causes of each comparison, ready to be laid out. Pure functions of ``result.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.reporting.charts import Interval
from spikeport.reporting.numbers import percent, points, whole
from spikeport.reporting.verdict import name_of


@dataclass(frozen=True)
class Why:
    """The causes of one comparison."""

    stage: str
    causes: tuple[Mapping[str, Any], ...]
    bars: tuple[Interval, ...]
    first: str
    few: int | None  #: so many samples, where the comparison has more


def causes(result: Mapping[str, Any]) -> list[Why]:
    """Each cause with its share of the mismatches, for each comparison whose causes were looked for."""
    firsts, most = result.get("first_divergence", {}), max(result.get("samples", {}).values(), default=0)
    comparisons = []
    for stage, entries in result.get("causes", {}).items():
        rows = tuple(_cause(entry) for entry in entries)
        count = max((entry.get("samples") or 0 for entry in entries), default=0)
        few = count if 0 < count < most else None
        comparisons.append(Why(name_of(stage), tuple(entries), rows, str(firsts.get(stage, "")), few))
    return [why for why in comparisons if why.causes]


def _cause(entry: Mapping[str, Any]) -> Interval:
    share, count = float(entry["share"]), int(entry["mismatches"])
    tip = f"{entry['title']}: {whole(count)} mismatches alone, {percent(share)} of all causes"
    if entry.get("accuracy") is not None:
        tip += f", accuracy {points(entry['accuracy'])}"
    return Interval(entry["title"], percent(share), 0.0, 100 * share, 100 * share, tip)
