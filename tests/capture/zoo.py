"""`make zoo`: published modules, captured or refused, and why; writes docs/results/zoo.md.

Each module of zoo.toml is built from the installed package by its path and captured with the proof. A module that is
captured where a refusal is expected, or the other way round, ends the command with 1: the table is a promise.
"""

from __future__ import annotations

import importlib
import sys
import time
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.tracing import capture

LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Outcome:
    """What became of one module."""

    entry: dict[str, Any]
    state: str  #: captured, refused, failed or absent
    what: str = ""
    seconds: float = 0.0

    @property
    def expected(self) -> bool:
        """Whether the table said so; what is not installed says nothing."""
        return self.state == "absent" or (self.state == "captured") == self.entry["captured"]


def built(entry: dict[str, Any]) -> nn.Module:
    """The module, from the packages that the entry names."""
    names: dict[str, Any] = {"torch": torch}
    for path in entry["use"]:
        names[path.rpartition(".")[2]] = importlib.import_module(path)
        names[path.partition(".")[0]] = importlib.import_module(path.partition(".")[0])
    names["torch"] = torch  # Norse has a package of this name
    module = eval(entry["build"], names)  # the expression stands in our own file
    around = entry.get("around")
    if around:
        first = nn.Linear(6, 8)
        first.weight.data.mul_(4)
        module = nn.Sequential(first, module, nn.Identity() if around == "voting" else nn.Linear(8, 3))
    if steps := entry.get("steps"):
        functional = importlib.import_module("spikingjelly.activation_based.functional")
        functional.set_step_mode(module, steps)
    return module.eval()


def without_operators() -> None:
    """Lets torchvision be imported where its compiled operators are not those of this torch; no model needs them."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except ImportError:
        pass


def tried(entry: dict[str, Any]) -> Outcome:
    """One module, captured with the proof."""
    if entry["package"] != "repository":
        try:
            version(entry["package"])
        except PackageNotFoundError:
            return Outcome(entry, "absent")
    begun = time.perf_counter()
    options = {key: entry[key] for key in ("timesteps", "forward", "output") if key in entry}
    try:
        torch.manual_seed(0)
        graph = capture(built(entry), tuple(entry["shape"]), **options)
    except SpikeportError as error:
        finding = error.findings[0]
        return Outcome(entry, "refused", f"{finding.code} {finding.what}", time.perf_counter() - begun)
    except Exception as error:
        return Outcome(entry, "failed", f"{type(error).__name__}: {error}", time.perf_counter() - begun)
    proof = graph.provenance["verified"]
    silent = f"; no spike of {', '.join(proof['silent'])}" if proof["silent"] else ""
    return Outcome(entry, "captured", f"{len(graph.nodes)} nodes{silent}", time.perf_counter() - begun)


def page(outcomes: list[Outcome], whole: Sequence[str] = ()) -> str:
    """The table in markdown, and lines about whole ways behind it."""
    kinds = [("imported", [o for o in outcomes if not o.entry.get("style")])]
    kinds.append(("in style", [o for o in outcomes if o.entry.get("style")]))
    counts = ", ".join(f"{sum(o.state == 'captured' for o in k)} of {len(k)} {name}" for name, k in kinds)
    lines = [
        "# Published modules, captured or refused",
        "",
        f"`make zoo` captures every module with its proof in float64: {counts}.",
        "*Imported* are installed packages' own modules, by path; *in style* are modules that are only in a",
        "repository, in our own words (tests/hand_written.py, tests/published.py, tests/capture/tutorials.py).",
        "",
        "| package | module | | nodes, or why not | waits for the node |",
        "|---|---|---|---|---|",
    ]
    for o in outcomes:
        e = o.entry
        what = o.what if o.state == "captured" else e.get("why") or o.what.replace("|", "/")
        lines.append(f"| {e['package']} {e['version']} | {e['name']} | {o.state} | {what} | {e.get('waits', '')} |")
    return "\n".join([*lines, *whole, ""])


def main(words: list[str]) -> int:
    """All entries, or those whose name holds a word of the command line; the page only for all."""
    sys.path[:0] = [str(ROOT / "tests")]
    warnings.simplefilter("ignore")
    without_operators()
    entries = tomllib.loads((HERE / "zoo.toml").read_text(encoding="utf-8"))["module"]
    chosen = [e for e in entries if not words or any(word in f"{e['package']} {e['name']}" for word in words)]
    outcomes = []
    for entry in chosen:
        outcome = tried(entry)
        outcomes.append(outcome)
        mark = "" if outcome.expected else "   NOT AS EXPECTED"
        where = f"{entry['package']} {entry['name']}: {outcome.state} ({outcome.seconds:.1f} s)"
        print(where, outcome.what[:160] + mark, flush=True)
    if not words:
        import ways

        text = page(outcomes, ways.page(list(ways.ways())))
        (ROOT / "docs" / "results" / "zoo.md").write_text(text, encoding="utf-8")
    return 0 if all(o.expected for o in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
