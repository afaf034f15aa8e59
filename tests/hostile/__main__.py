"""Mutants by command, in shards that resume; what ended otherwise than promised is shrunk and kept.

    PYTHONPATH=tests python -m hostile run [FORMAT ...] [--count 10000] [--shard 1/10]    goes on where it was
    PYTHONPATH=tests python -m hostile again                                 those that ended otherwise, after mends
    PYTHONPATH=tests python -m hostile page                                  how many ran, and how they ended

Seeds are numbers from 0: shard k of n has those whose remainder by n is k - 1. States are in build/hostile,
shrunk files in build/hostile/shrunk; a seed goes into kept.json when its cause is mended.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hostile.formats import FORMATS
from hostile.shrink import shrunk
from hostile.worker import run, warm, wrong

ROOT = Path(__file__).parents[2]
STATES = ROOT / "build" / "hostile"
BATCH = 200


def work(name: str, count: int, shard: str) -> None:
    """The mutants of a shard that have not run yet."""
    part, parts = map(int, shard.split("/"))
    path = STATES / f"{name}-{part}-of-{parts}.json"
    state = json.loads(path.read_text()) if path.exists() else {"next": part - 1, "ends": {}, "wrong": {}}
    warm([name])
    while state["next"] < count:
        seeds = list(range(state["next"], min(count, state["next"] + BATCH * parts), parts))
        for seed, ended in list(run(name, seeds)):  # whole, before something is made smaller in other forks
            key = ended.split(": ")[0]
            state["ends"][key] = state["ends"].get(key, 0) + 1
            if wrong(ended):
                state["wrong"][str(seed)] = ended
            if wrong(ended) and state["ends"][key] == 1:  # one of a kind is made smaller
                ending, data = shrunk(name, seed, ended)
                kept = STATES / "shrunk" / f"{name}-{seed}{ending}"
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(data)
                print(name, seed, ended, f"({len(data)} bytes: {kept.relative_to(ROOT)})", flush=True)
        state["next"] = seeds[-1] + parts
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(state, indent=1))


def again(name: str) -> None:
    """Run once more what ended otherwise than promised, and count it as it ends now."""
    for path in sorted(STATES.glob(f"{name}-*-of-*.json")):
        state = json.loads(path.read_text())
        seeds = {int(seed): ended for seed, ended in state["wrong"].items()}
        if not seeds:
            continue
        warm([name])
        for seed, ended in list(run(name, sorted(seeds))):
            for key, more in ((seeds[seed].split(": ")[0], -1), (ended.split(": ")[0], 1)):
                state["ends"][key] = state["ends"].get(key, 0) + more
            state["wrong"].pop(str(seed))
            if wrong(ended):
                state["wrong"][str(seed)] = ended
                print(name, seed, ended, flush=True)
        state["ends"] = {end: number for end, number in state["ends"].items() if number}
        path.write_text(json.dumps(state, indent=1))


def page() -> str:
    """A table of all that ran."""
    rows = ["| format | mutants | read | one coded error | anything else |", "|---|---|---|---|---|"]
    for name in FORMATS:
        ends: dict[str, int] = {}
        for path in sorted(STATES.glob(f"{name}-*-of-*.json")):
            for end, number in json.loads(path.read_text())["ends"].items():
                ends[end] = ends.get(end, 0) + number
        coded = sum(number for end, number in ends.items() if end.startswith("SP"))
        other = sum(number for end, number in ends.items() if wrong(end))
        total = sum(ends.values())
        rows.append(f"| {name} | {total:,} | {ends.get('read', 0):,} | {coded:,} | {other} |")
    return "\n".join(rows)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "again", "page"))
    parser.add_argument("formats", nargs="*", choices=[*FORMATS, []])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--shard", default="1/1")
    asked = parser.parse_args()
    if asked.what == "page":
        print(page())
        return
    for name in asked.formats or FORMATS:
        again(name) if asked.what == "again" else work(name, asked.count, asked.shard)


if __name__ == "__main__":
    main()
