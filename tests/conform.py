"""Every target on thousands of random networks, in shards that go on where they were ended, and a page of the results.

python tests/conform.py --graphs 5000 --shard 1/4
python tests/conform.py --graphs 800 --kind speck --folder build/conformance-speck
python tests/conform.py --graphs 400 --kind xylo --target onnxruntime --folder build/conformance-onnx
python tests/conform.py --write docs/results/conformance.md
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from conformance.cases import KINDS, case
from conformance.judge import judge
from conformance.targets import Contestant, contestants
from conformance.waivers import waivers
from spikeport.files import write_text

FIRST = 1000  #: seed of the first network; those of `make test` are smaller
AT_ONCE = 50  #: networks in one part of a shard, so that Lava starts once for its share of them
#: what the n-th network is: how often each kind comes in twenty
CYCLE = ("integers",) * 8 + ("float32",) * 4 + ("float64",) * 3 + ("linear", "shifts", "lava", "lava, real", "sanafe")


def run(first: int, last: int, names: set[str], kind: str | None = None) -> dict[str, object]:
    """Networks ``first`` ... ``last - 1``, on every target that takes them; those of ``kind`` on what is named."""
    cycle: Sequence[str] = (kind,) if kind else CYCLE
    part: dict[str, object] = {"first": first, "last": last}
    for name, contestant in contestants().items():
        if (names and name not in names) or contestant.missing:
            continue
        kinds = [(cycle[number % len(cycle)], number) for number in range(first, last)]
        part[name] = result(contestant, [each for each in kinds if each[0] in contestant.kinds or (kind and names)])
    return part


def result(contestant: Contestant, numbers: list[tuple[str, int]]) -> dict[str, object]:
    """What came of some networks on one target, as JSON values."""
    cases = [case.__wrapped__(kind, FIRST + number) for kind, number in numbers]
    verdict = judge(cases, contestant.try_all(cases), waivers(contestant.name))
    return {
        "networks": len(cases),
        "agreed": verdict.agreed,
        "refused": verdict.refused,
        "waived": {w.when or "always": n for w, n in verdict.waived.items()},
        "differences": [[d.case, d.what, d.where, d.detail] for d in verdict.differences],
    }


def parts(folder: Path) -> list[dict[str, object]]:
    """All that was run so far."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("part-*.json"))]


def page(done: list[dict[str, object]]) -> str:
    """The table of results."""
    names = [name for name in contestants() if any(name in line for line in done)]
    rows = []
    for name in names:
        results = [line[name] for line in done if name in line]
        refused = sum((Counter(each["refused"]) for each in results), Counter())
        said = ", ".join(f"{code} {count}" for code, count in sorted(refused.items())) or "none"
        wrong = sum(len(each["differences"]) for each in results)
        waived = sum(sum(each["waived"].values()) for each in results)
        counts = [sum(each[key] for each in results) for key in ("networks", "agreed")]
        rows.append(f"| {name} | {counts[0]:,} | {counts[1]:,} | {said} | {waived:,} | **{wrong}** |")
    networks = sum(line["last"] - line["first"] for line in done)
    packages = ", ".join(f"{package} {version(package)}" for package in ("numpy", "torch", "onnxruntime", "lava-nc"))
    return "\n".join(
        [
            "## Random networks",
            "",
            f"{networks:,} networks, seeds from {FIRST}; Python {platform.python_version()}, {packages}.",
            "",
            "| target | networks | ran and agreed | refused, by first code | waived | differences |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--graphs", type=int, default=5000)
    options.add_argument("--shard", default="1/1", help="1/4 is the first of four")
    options.add_argument("--target", action="append", default=[], help="only this one; may be given more than once")
    options.add_argument("--kind", choices=KINDS, help="networks of one kind only, on what takes them or on --target")
    options.add_argument("--folder", type=Path, default=Path("build/conformance"))
    options.add_argument("--write", type=Path, help="put what was run so far into this page, and run nothing")
    order = options.parse_args()
    if order.write:
        before, _, after = order.write.read_text("utf-8").partition("## Random networks")
        _, mark, after = after.partition("## Planted changes")
        write_text(order.write, before + page(parts(order.folder)) + "\n" + mark + after)
        return 0
    shard, shards = map(int, order.shard.split("/"))
    order.folder.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for first in range((shard - 1) * AT_ONCE, order.graphs, shards * AT_ONCE):
        path = order.folder / f"part-{first:06}.json"
        if path.exists():
            continue
        part = run(first, min(first + AT_ONCE, order.graphs), set(order.target), order.kind)
        write_text(path, json.dumps(part, indent=1))
        differences = [d for each in part.values() if isinstance(each, dict) for d in each["differences"]]
        wrong += len(differences)
        agreed = sum(each["agreed"] for each in part.values() if isinstance(each, dict))
        print(f"{part['last']} of {order.graphs}: {agreed} agreed, {wrong} differences", *differences[:3], flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
