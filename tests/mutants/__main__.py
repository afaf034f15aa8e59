"""Draw mutants, run them, and join the results into a page.

    PYTHONPATH=tests python -m mutants run [--shard 1/4] [--budget 6] [--commit HEAD]    goes on where it was
    PYTHONPATH=tests python -m mutants page [--commit HEAD]                    writes docs/results/mutants.md

Results are small files in build/mutants/results, one a mutant; those of other machines are copied beside them. A mutant
that was caught stays so while its function keeps the line. One that survived runs again when its room's tests change or
`--budget` (seconds of tests, the fastest first) grows, unless a person gave its reason; those that never ran go first.
"""

from __future__ import annotations

import argparse
import compileall
import fcntl
import json
import signal
import sys
import tomllib
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from mutants.candidates import Mutant, digest, mutated, sample
from mutants.child import Verdict, prepare, tested
from mutants.page import REASONS, write_page
from mutants.reach import Chooser, Reach, Recorder, marked, reach_of
from mutants.tree import PLACE, PLAN, ROOT, git, sources, unpack, written

RESULTS = PLACE / "results"
SETTLED = ("equivalent", "free")  #: kinds of survivors that no test has to notice


def drawn(commit: str, texts: dict[str, dict[str, str]]) -> list[Mutant]:
    """The sample of a commit; kept, since drawing takes half a minute."""
    kept = PLACE / f"sample-{digest(PLAN['seed'], PLAN['number'], texts)[:12]}.json"
    if not kept.exists():
        mutants = sample(texts, PLAN["number"], PLAN["seed"])
        kept.write_text(json.dumps([asdict(mutant) for mutant in mutants], indent=1))
    return [Mutant(**entry) for entry in json.loads(kept.read_text())]


def result_of(mutant: Mutant) -> dict | None:
    """What is known of a mutant, or None."""
    path = RESULTS / f"{mutant.key}.json"
    return json.loads(path.read_text()) if path.exists() else None


def tests_of(tree: Path, room: str) -> list[Path]:
    """The files of tests that a room's mutants have to pass."""
    plan = PLAN["rooms"][room]
    chosen, left = (
        {path for name in names for path in (tree / "tests").glob(name)}
        for names in (plan["tests"], plan.get("leave", []))
    )
    return sorted(chosen - left)


def tests_digest(tree: Path, room: str) -> str:
    """A number for the tests of a room."""
    return digest(*(path.read_text("utf-8") for path in tests_of(tree, room)))[:12]


def run(commit: str, shard: str, budget: float) -> None:
    """Run every mutant of a shard whose result is not known; an interrupted run loses the one that it was at."""
    number, of = map(int, shard.split("/"))
    tree = PLACE / f"tree-{number}-of-{of}"
    tree.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    with (tree.parent / f"{tree.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits for another run of this shard
        unpack(commit, tree)
        texts = sources(tree)
        digests = {room: tests_digest(tree, room) for room in texts}
        reasons = tomllib.loads(REASONS.read_text("utf-8"))
        mutants = drawn(commit, texts)[number - 1 :: of]
        waiting = [
            each
            for each in mutants
            if not settled(
                result_of(each), digests[each.room], budget, explained=reasons.get(each.key, {}).get("kind") in SETTLED
            )
        ]
        waiting.sort(key=lambda each: result_of(each) is not None)
        print(f"{len(waiting)} of {len(mutants)} mutants wait", flush=True)
        prepare(tree)
        reaches: dict[str, Reach] = {}
        for mutant in waiting:
            if mutant.room not in reaches:
                reaches[mutant.room] = reach(tree, mutant.room, texts[mutant.room], digests[mutant.room])
            verdict = judged(tree, mutant, texts[mutant.room][mutant.path], reaches[mutant.room], budget)
            keep(mutant, verdict, {"tests": digests[mutant.room], "commit": commit, "budget": budget})


def settled(result: dict | None, tests: str, budget: float, *, explained: bool) -> bool:
    """Whether a result stands."""
    if result is None or result["outcome"] != "passed" or explained:
        return result is not None
    return result["tests"] == tests and result["budget"] >= budget


def reach(tree: Path, room: str, texts: dict[str, str], tests: str) -> Reach:
    """Which tests reach which functions. They run once, with marks; they must pass, and loops are compiled for all."""
    told = tree / f"reach-{room}-{digest(texts, tests)[:12]}.json"
    if not told.exists():
        files = [str(path.relative_to(tree)) for path in tests_of(tree, room)]
        with ExitStack() as marks:
            for path, text in texts.items():
                marks.enter_context(written(tree / "toolchain" / "spikeport" / path, marked(path, text)))
            verdict = tested(tree, files, 1200, Recorder(told), keep_bytecode=True)
        if verdict.outcome != "passed":
            told.unlink(missing_ok=True)
            raise SystemExit(f"the tests of {room} do not pass unchanged: {verdict} (see {tree}/child.log)")
        compileall.compile_dir(tree / "toolchain", quiet=2)
        print(f"{room}: {verdict.seconds} s unchanged", flush=True)
    return reach_of(json.loads(told.read_text()), texts)


def judged(tree: Path, mutant: Mutant, source: str, reach: Reach, budget: float) -> Verdict:
    """The tests that reach a mutant, on the copy with the mutant in it."""
    tests = reach.tests_for(mutant.path, mutant.definition, budget)
    if not tests:
        return Verdict("passed", "", 0.0)
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    with written(tree / "toolchain" / "spikeport" / mutant.path, mutated(mutant, source)):
        return tested(
            tree, files, PLAN["patience"] * sum(reach.seconds.values()) + 20, Chooser(tests), keep_bytecode=False
        )


def keep(mutant: Mutant, verdict: Verdict, circumstances: dict) -> None:
    """Write a result, whole or not at all."""
    where = f"{mutant.path}:{mutant.line} {mutant.operator}"
    print(f"{verdict.outcome:8} {verdict.seconds:6} s  {mutant.key} {where}", flush=True)
    if verdict.outcome == "broken":  # neither passed nor failed: no result, the next run tries again
        return
    path = RESULTS / f"{mutant.key}.json"
    entry = asdict(mutant) | asdict(verdict) | circumstances
    path.with_suffix(".part").write_text(json.dumps(entry, indent=1))
    path.with_suffix(".part").replace(path)


def page(commit: str) -> None:
    """Join the results."""
    tree = PLACE / "tree-page"
    unpack(commit, tree)
    texts = sources(tree)
    mutants = drawn(commit, texts)
    results = {mutant.key: result for mutant in mutants if (result := result_of(mutant))}
    write_page(ROOT / "docs/results/mutants.md", commit, PLAN, texts, mutants, results)


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=["run", "page"])
    options.add_argument("--shard", default="1/1", metavar="I/N")
    options.add_argument("--budget", type=float, default=60.0, metavar="SECONDS")
    options.add_argument("--commit", default="HEAD")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended; the next run goes on from here"))
    commit = git("rev-parse", chosen.commit).decode().strip()
    if chosen.what == "run":
        run(commit, chosen.shard, chosen.budget)
    else:
        page(commit)


if __name__ == "__main__":
    main()
