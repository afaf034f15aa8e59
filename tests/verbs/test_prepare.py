"""`doctor --prepare` compiles what networks need, and says so where that fails."""

from __future__ import annotations

import sys

import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import Real
from spikeport.verbs import prepare


def test_the_parts_are_networks_of_every_kind_in_either_arithmetic():
    parts = prepare.PARTS.values()
    assert {(part.kind, part.integers) for part in parts} >= {
        (k, i) for k in ("matrix", "cycle") for i in (True, False)
    }
    for part in parts:
        graph = prepare.network(part.kind, integers=part.integers)
        assert isinstance(graph.arithmetic, Real) != part.integers
        assert graph.recurrent == (part.kind == "cycle")


@pytest.mark.parametrize("processes", [1, 2, 3, 100])
def test_every_part_is_dealt_once_and_the_longest_alone_where_there_are_two(processes):
    hands = prepare.dealt(processes)
    assert sorted(name for hand in hands for name in hand) == sorted(prepare.PARTS)
    assert len(hands) == min(processes, len(prepare.PARTS))
    assert processes == 1 or hands[-1] == ["events"]


def test_a_part_that_fails_is_told_and_the_others_have_their_seconds(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nshift 2\nfor part in "$@"; do\n'
        'case "$part" in "cycle of i"*) echo "no LLVM" >&2; exit 1;; esac; echo "0.5 $part"; done\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(prepare.Part, "compile", lambda part: 0.25)
    monkeypatch.setattr(prepare.os, "cpu_count", lambda: 5)
    with pytest.raises(SpikeportError, match=r"SP545.*cycle of integers.*no LLVM"):
        prepare.prepare()
    monkeypatch.delitem(prepare.PARTS, "cycle of integers")
    seconds = prepare.prepare()
    assert set(seconds) == set(prepare.PARTS)
    assert sorted(seconds.values()) == [0.25, 0.5, 0.5, 0.5]
