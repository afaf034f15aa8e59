"""Small errors planted into a copy of the code, one at a time: the conformance suite must fail for each.

python tests/planted.py --write docs/results/conformance.md
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from spikeport.files import write_text

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("toolchain", "targets", "models", "tests", "docs", "pyproject.toml")
TEST = "test_what_check_accepts_runs_as_the_definition_says_and_what_it_refuses_says_why"
HEAD = "## Planted changes"


@dataclass(frozen=True)
class Planted:
    """One change of one constant, comparison or rounding."""

    where: str  #: a file
    before: str  #: what stands there, once
    after: str
    target: str  #: the one in the suite that must notice


def planted() -> list[Planted]:
    """All of `planted.toml`."""
    entries = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))["planted"]
    return [Planted(**entry) for entry in entries]


def noticed(change: Planted) -> str:
    """What the suite says of a target in a copy with a change; "" where it passes."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in PARTS:
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile)(ROOT / part, copy / part)
        file = copy / change.where
        text = file.read_text("utf-8")
        assert text.count(change.before) == 1, (
            f"{change.where}: {change.before!r} stands {text.count(change.before)} times"
        )
        file.write_text(text.replace(change.before, change.after), "utf-8")
        paths = os.pathsep.join(str(copy / room) for room in ("toolchain", "targets", "models"))
        environment = os.environ | {"PYTHONPATH": paths, "SPIKEPORT_CACHE": str(copy / "cache")}
        test = f"tests/conformance/test_conformance.py::{TEST}[{change.target}]"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=short", "-vv", test]
        child = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        if child.returncode == 0:
            return ""
        said = [line for line in child.stdout.splitlines() if "what=" in line]
        assert child.returncode == 1, child.stdout + child.stderr
        return said[0].strip() if said else child.stdout[-300:]


def kind_of(said: str) -> str:
    """In which kind of result the suite saw it."""
    return said.partition("what='")[2].partition("'")[0] or "the run itself"


def table(rows: list[str], missed: int) -> str:
    head = ["| file | instead of | planted | target in the suite | first seen in |", "|---|---|---|---|---|"]
    return "\n".join([f"{len(rows)} planted, {len(rows) - missed} noticed.", "", *head, *rows])


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--write", type=Path)
    order = options.parse_args()
    rows: list[str] = []
    missed = 0
    for change in planted():
        said = noticed(change)
        missed += not said
        print("noticed" if said else "MISSED", change.target, change.where, said[:300], flush=True)
        before, after = (
            f"`{' '.join(text.split()).replace('|', chr(92) + '|')}`" for text in (change.before, change.after)
        )
        seen = kind_of(said) if said else "**missed**"
        rows.append(f"| `{change.where}` | {before} | {after} | {change.target} | {seen} |")
        if order.write:  # after each, so that a run that is ended leaves what it showed
            kept = order.write.read_text("utf-8").partition(HEAD)[0]
            write_text(order.write, f"{kept}{HEAD}\n\n{table(rows, missed)}\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
