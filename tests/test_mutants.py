"""The mutation run: edits elsewhere do not change what is drawn, and no mutant is made where no test should look."""

from __future__ import annotations

import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray is of the dev extra")

from mutants.candidates import mutants, mutated, sample, shares

SOURCE = '''
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A pair: 1 + 1."""

    first: int | None = 3


def kernel(a: int | str, *, b: bool) -> int | None:
    require(a > 0, "SP100", f"{a + 1} is no size", mend=b + "s")
    return [x * y for x, y in zip(a, b, strict=True)]
'''


def places(source):
    return {(mutant.text, mutant.column) for mutant in mutants("graph", "a.py", source)}


def test_no_mutant_of_what_no_test_should_look_at():
    """Left are the default, the condition of `require` without its texts, and the product without `zip`'s strict."""
    texts = {text.split(",")[0].split(" for ")[0]: set() for text, _ in places(SOURCE)}
    for text, column in places(SOURCE):
        texts[text.split(",")[0].split(" for ")[0]].add(column)
    assert texts == {"first: int | None = 3": {24}, "require(a > 0": {14, 16}, "return [x * y": {14}}


def test_a_mutant_changes_one_line():
    for mutant in mutants("graph", "a.py", SOURCE):
        pairs = zip(SOURCE.split("\n"), mutated(mutant, SOURCE).split("\n"), strict=True)
        assert [number for number, (a, b) in enumerate(pairs, 1) if a != b] == [mutant.line]


def test_an_edit_elsewhere_changes_no_key_and_draws_the_same():
    longer = "SIZE = 2 + 2\n\n" + SOURCE
    first, second = (sample({"graph": {"a.py": source}}, 3, "seed") for source in (SOURCE, longer))
    known = {mutant.key for mutant in mutants("graph", "a.py", SOURCE)}
    assert known < {mutant.key for mutant in mutants("graph", "a.py", longer)}
    kept = [mutant.key for mutant in second if mutant.key in known]
    assert kept == [mutant.key for mutant in first][: len(kept)]


def test_rooms_get_their_share_of_the_lines():
    assert shares({"a": 100, "b": 50, "c": 50}, 10) == {"a": 5, "b": 3, "c": 2}
    assert sum(shares({"a": 7, "b": 11, "c": 13}, 100).values()) == 100
