"""``spikeport report``: the HTML page of what a verb left in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from spikeport.comparison import Comparison
from spikeport.files import folder, sha256, write_json
from spikeport.jobs.sweep import SWEEP
from spikeport.reporting import gather, write
from spikeport.verbs.doctor import machine, versions
from spikeport.verbs.fit import placed
from spikeport.verbs.folders import COMPARISON, FIGURES, contents, of_comparison
from spikeport.verbs.parameters import Help


def report(path: Annotated[Path | str, Help("Folder that a verb wrote.", metavar="DIR", place=True)]) -> Path:
    """Write the HTML page of what a verb left in a folder: a run, a comparison, a record, a training, or a sweep.

    That of a sweep may be asked for at any time, also while it runs.

    Returns the page's path, ``report.html`` in that folder. Raises SP820 where there is nothing to show.

    Examples:

        spikeport report build/demo

        spikeport report build/demo/train
    """
    place = Path(path)
    place = place if place.is_dir() or not place.suffix else place.parent
    if (place / SWEEP).is_file():
        from spikeport.verbs.sweep import reported

        return reported(place)
    result, figures = contents(place)
    return write(result, place / "report.html", figures)


def write_comparison(comparison: Comparison, out: Path | str) -> Path:
    """Write ``comparison.json``, ``figures.json`` and ``report.html`` of one comparison; returns the page."""
    place, facts = folder(out), _facts(comparison)
    placement = None
    if comparison.graph is not None:
        facts["fit"], placement = placed(comparison.graph)
    pairs = {comparison.a: (comparison.records[0], comparison.records[1])} if comparison.records else {}
    figures = gather(
        pairs, graph=comparison.graph, integer=comparison.graph, placement=placement, names=(comparison.a, comparison.b)
    )
    write_json(place / COMPARISON, comparison)
    write_json(place / FIGURES, {"facts": facts, **figures})
    return write(of_comparison(comparison.as_dict()) | facts, place / "report.html", figures)


def _facts(comparison: Comparison) -> dict[str, Any]:
    """When, where and of which files it was made."""
    files = [path for side in (comparison.a, comparison.b) if (path := _file(side)) is not None]
    hashes = {f"sha256 of {path}": sha256(path) for path in files}
    command = {"command": f"spikeport compare {comparison.a} {comparison.b}"}
    return {"provenance": command | machine() | hashes, "versions": versions()}


def _file(side: str) -> Path | None:
    """The file that a side was read from, its target left out; None for what is no file."""
    return next((Path(name) for name in (side, side.rpartition("@")[0]) if name and Path(name).is_file()), None)
