"""`doctor --prepare` compiles what networks need, and says so where that fails."""

from __future__ import annotations

import sys

import pytest

from spikeport.engine import prepare
from spikeport.findings import SpikeportError
from spikeport.graph import Real


@pytest.mark.parametrize("integers", [True, False])
def test_the_parts_are_networks_of_every_kind_in_either_arithmetic(integers):
    maps, matrices, cycles = ([*prepare.networks(kind, integers=integers)] for kind in ("map", "matrix", "cycle"))
    assert [graph["a"].channels for graph in maps] == [16, 32, 64]
    assert all(isinstance(graph.arithmetic, Real) != integers for graph in (*maps, *matrices, *cycles))
    assert [graph.recurrent for graph in (*matrices, *cycles)] == [False, True]


def test_a_part_that_fails_is_told_and_the_others_have_their_seconds(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$3" in cycle*) echo "no LLVM" >&2; exit 1;; esac\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(SpikeportError, match=r"SP545.*no LLVM"):
        prepare.prepare()
    monkeypatch.setattr(prepare, "PARTS", {"map": None, "matrix": None})
    assert set(prepare.prepare()) == {"map", "matrix"}
