"""The page of results: a table by room, and each survivor with its change and the reason that a person gave."""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mutants.candidates import Mutant, mutated

REASONS = Path(__file__).parent / "reasons.toml"
ASKED = 85  #: percent of the mutants that the tests have to catch

HEAD = """# What the tests notice

Written by `make mutants-page` at commit `{commit}` from what `make mutants` ran at
{commits}. What ran earlier counts for a mutant whose function still has the line; survivors run
again when the tests of their room change.

[cosmic-ray](https://github.com/sixty-north/cosmic-ray) changes one place of the code: an operator, a comparison, a
number by one, a condition, a loop that never runs. The tests of that room must then fail. {drawn} such mutants are
drawn, with the seed `{seed}`, from the rooms in proportion to their lines; a place is drawn first, and one of its
changes with it. {ran} of them ran, **{caught} were caught: {share:.1f} %** (asked: {asked} %); of those that are not
equivalent {telling:.1f} %.

| room | lines | drawn | ran | caught | share | survived | of them equivalent |
|---|---|---|---|---|---|---|---|
{rows}

Equivalent mutants, which compute the same, count as not caught in this table. Caught are mutants that made a test
fail{ways}. The median mutant took {median} s of one core, the mean one {mean:.1f} s. Each got
{budget:g} s or more of the tests that reach its function, the fastest first.

Passed over, because no test should look there: annotations, blocks for type checkers, the texts of findings and errors,
f-strings, `zip(strict=)`, the options of data classes, the drawing `mapping/picture.py`. Passed over as well: `is` in
place of `==`, an arithmetic operator in place of a bitwise one, at which numpy and torch raise at once, and a function
without its decorator. The loops of `engine/cpu/` are no part of it: tests hold them to the definition bit for bit.

## Survivors

*Equivalent*: the change computes the same. *Free*: it moves what nobody promises, such as the size of a block or the
length of a search. *Answered*: a test that was added after this run states the fact; the next run says whether it
notices. *Open*: nobody has looked at it yet, or a test should notice it and does not.
"""


def write_page(
    path: Path, commit: str, plan: dict, texts: dict, mutants: list[Mutant], results: Mapping[str, dict]
) -> None:
    """Write the page, and say which survivors have no reason yet and which reasons have no survivor."""
    reasons = tomllib.loads(REASONS.read_text("utf-8"))
    ran = [mutant for mutant in mutants if mutant.key in results]
    survivors = [mutant for mutant in ran if results[mutant.key]["outcome"] == "passed"]
    same = [mutant for mutant in survivors if kind(reasons, mutant) == "equivalent"]
    seconds = sorted(results[mutant.key]["seconds"] for mutant in ran) or [0.0]
    head = HEAD.format(
        commit=commit[:12],
        commits=", ".join(sorted({f"`{results[mutant.key]['commit'][:12]}`" for mutant in ran})),
        seed=plan["seed"],
        asked=ASKED,
        drawn=len(mutants),
        ran=len(ran),
        caught=len(ran) - len(survivors),
        share=percent(len(ran) - len(survivors), len(ran)),
        telling=percent(len(ran) - len(survivors), len(ran) - len(same)),
        rows="\n".join(rows(texts, mutants, ran, survivors, reasons)),
        ways=ways(results[mutant.key]["outcome"] for mutant in ran),
        budget=min((results[mutant.key]["budget"] for mutant in ran), default=0.0),
        median=seconds[len(seconds) // 2],
        mean=sum(seconds) / len(seconds),
    )
    parts = [section(room, texts[room], survivors, reasons) for room in texts]
    path.write_text("\n".join([head, *(part for part in parts if part)]), encoding="utf-8")
    keys = {mutant.key for mutant in survivors}
    print(f"{len(ran)} of {len(mutants)} ran, {len(survivors)} survived; written: {path}")
    print("survivors without a reason:", sorted(keys - reasons.keys()))
    print("reasons without a survivor:", sorted(reasons.keys() - keys))


def percent(part: int, whole: int) -> float:
    """A share."""
    return 100 * part / max(whole, 1)


def rows(texts, mutants, ran, survivors, reasons):
    """A line of the table for each room."""
    drawn, done, left = (Counter(mutant.room for mutant in each) for each in (mutants, ran, survivors))
    same = Counter(mutant.room for mutant in survivors if kind(reasons, mutant) == "equivalent")
    for room, files in texts.items():
        lines, caught = sum(text.count("\n") for text in files.values()), done[room] - left[room]
        share = f"{percent(caught, done[room]):.1f} %"
        yield f"| {room} | {lines} | {drawn[room]} | {done[room]} | {caught} | {share} | {left[room]} | {same[room]} |"


def ways(outcomes) -> str:
    """How many ended otherwise than by a failing test."""
    count = Counter(outcomes)
    return f", or ran out of time ({count['late']}), or ended the process ({count['crashed']})"


def kind(reasons: dict, mutant: Mutant) -> str:
    """What a person said the survivor is."""
    return reasons.get(mutant.key, {}).get("kind", "open")


def section(room: str, files: dict[str, str], survivors: list[Mutant], reasons: dict) -> str:
    """The survivors of a room."""
    chosen = sorted((each for each in survivors if each.room == room), key=lambda each: (each.path, each.line))
    entries = [entry(mutant, files[mutant.path], reasons) for mutant in chosen]
    return "\n".join([f"### {room}", "", *entries]) if entries else ""


def entry(mutant: Mutant, source: str, reasons: dict) -> str:
    """A survivor: where, which change, why."""
    name = mutant.operator.removeprefix("core/")
    why = reasons.get(mutant.key, {}).get("reason", "not looked at yet").strip()
    changed = difflib.unified_diff(source.split("\n"), mutated(mutant, source).split("\n"), n=0, lineterm="")
    diff = [line for line in list(changed)[2:] if not line.startswith("@@")]
    head = f"`{mutant.path}:{mutant.line}` {name} (`{mutant.key}`). *{kind(reasons, mutant).capitalize()}*: {why}"
    return "\n".join([head, "", "```diff", *diff, "```", ""])
