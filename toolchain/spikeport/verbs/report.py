"""``spikeport report``: the HTML page of a run or of a comparison, written again from its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from spikeport.comparison import Comparison
from spikeport.files import folder, plain, sha256, write_json
from spikeport.findings import fail
from spikeport.reporting import gather, write
from spikeport.verbs.doctor import machine, versions
from spikeport.verbs.fit import placed
from spikeport.verbs.parameters import Help

FIGURES = "figures.json"  #: what the page lets a reader drill down into; written beside result.json


def report(
    path: Annotated[Path | str, Help("Folder with the result.json of a run.", metavar="DIR", place=True)],
) -> Path:
    """Write the HTML report of a run again, from its result.json.

    Returns the page's path. Raises SP820 where there is no result.

    Examples:

        spikeport report build/demo

        spikeport report build/demo/result.json
    """
    place = Path(path)
    place = place.parent if place.name == "result.json" else place
    result = _read(place / "result.json")
    if not {"accuracy", "parity"} & set(result):
        fail(
            "SP820",
            "holds neither accuracies nor comparisons",
            where=str(place / "result.json"),
            mend="name the folder that spikeport run wrote",
        )
    figures = _read(place / FIGURES) if (place / FIGURES).exists() else None
    return write(result, place / "report.html", figures)


def write_comparison(comparison: Comparison, out: Path | str) -> Path:
    """Write ``comparison.json`` and ``report.html`` of one comparison into a folder; returns the page."""
    place = folder(out)
    write_json(place / "comparison.json", comparison)
    result, placement = as_result(comparison), None
    if comparison.graph is not None:
        result["fit"], placement = placed(comparison.graph)
    pairs = {comparison.a: (comparison.records[0], comparison.records[1])} if comparison.records else {}
    return write(
        result,
        place / "report.html",
        gather(pairs, graph=comparison.graph, integer=comparison.graph, placement=placement),
    )


def as_result(comparison: Comparison) -> dict[str, Any]:
    """A comparison in the words of ``result.json``, for the page."""
    names = {"a": comparison.a, "b": comparison.b}
    result: dict[str, Any] = {
        "model": f"{comparison.a} against {comparison.b}",
        "samples": dict.fromkeys(names.values(), comparison.parity.samples),
        "parity": {comparison.a: _judged(comparison)},
        "firing_rate": comparison.firing_rates["a"],
        "causes": {} if comparison.causes is None else {comparison.a: plain(comparison.causes)},
        "first_divergence": {}
        if comparison.first is None
        else {comparison.a: comparison.first.told(comparison.a, comparison.b)},
    }
    result["provenance"] = (
        {"command": f"spikeport compare {comparison.a} {comparison.b}"}
        | machine()
        | {f"sha256 of {path}": sha256(path) for path in map(_file, names.values()) if path is not None}
    )
    result["versions"] = versions()
    result["findings"] = plain(comparison.findings)
    if comparison.accuracy is not None:
        result["accuracy"] = {names[key]: share.value for key, share in comparison.accuracy.items()}
    return result


def _judged(comparison: Comparison) -> dict[str, Any]:
    """The parity, with the side that is in integers: that one is judged by its accuracy."""
    entry = comparison.parity.as_dict(comparison.b)
    return entry | ({"quantised": comparison.quantised} if comparison.quantised else {})


def _file(side: str) -> Path | None:
    """The file that a side was read from, its target left out; None for what is no file."""
    return next((Path(name) for name in (side, side.rpartition("@")[0]) if name and Path(name).is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fail("SP820", "there is no such file", where=str(path), mend="name the folder that spikeport run wrote")
    except (OSError, ValueError) as error:
        fail("SP820", f"is not a result ({error})", where=str(path), mend="run spikeport run again")
    if not isinstance(value, dict):
        fail("SP820", "is not a result", where=str(path), mend="name the folder that spikeport run wrote")
    return value
