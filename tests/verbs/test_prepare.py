"""`doctor --prepare` compiles what networks need, and says so where that fails."""

from __future__ import annotations

import sys

import pytest

from spikeport import ahead
from spikeport.engine.build import build
from spikeport.engine.cpu import chained
from spikeport.findings import SpikeportError
from spikeport.graph import LOIHI2, Loihi, Range, Real
from spikeport.training import fused
from spikeport.verbs import prepare


def test_the_parts_are_networks_of_every_kind_in_either_arithmetic():
    parts = prepare.PARTS.values()
    networks = {(kind, part.numbers) for part in parts for kind in part.kinds if kind != "trained"}
    assert networks >= {(kind, numbers) for kind in ("map", "matrix", "cycle") for numbers in ("integers", "float32")}
    for kind, numbers in networks:
        graph = prepare.network(kind, numbers)
        assert graph.arithmetic == (Loihi(LOIHI2) if numbers == "integers" else Real(numbers))
        assert graph.recurrent == (kind == "cycle")


def test_single_samples_go_through_the_loops_that_no_batch_compiles():
    chain = chained(build(prepare.network("single", "integers"), "cpu", "fast", Range(0, 60)))
    loops = [call.func.__name__.rpartition("_")[0] for call in chain.calls]  # behind their names stands their key
    assert loops == ["pooled", "multiplied", "weighed", "over_steps"]


def test_the_part_of_a_training_runs_all_of_its_loops_in_single_precision(monkeypatch):
    loops, ran = fused._kernels(), set()

    class Watched:
        def __getattr__(self, name):
            ran.add(name)
            return getattr(loops, name)

    monkeypatch.setattr(fused, "_kernels", Watched)
    prepare.PARTS["training"].compile()
    assert ran == {"moments", "forward", "step", "last", "backward", "through_norm"}
    assert all(any("float32" in str(types) for types in getattr(loops, name).signatures) for name in ran)


@pytest.mark.parametrize("processes", [1, 2, 3, 100])
def test_every_part_is_dealt_once_and_the_longest_to_another_process(processes):
    hands = prepare.dealt(processes)
    assert sorted(name for hand in hands for name in hand) == sorted(prepare.PARTS)
    assert len(hands) == min(processes, len(prepare.PARTS))
    assert processes == 1 or ["events" in hand for hand in hands] == [number == 1 for number in range(len(hands))]


def test_a_part_that_fails_is_told_and_the_others_have_their_seconds(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nshift 2\nfor part in "$@"; do\n'
        'case "$part" in "real"*) echo "no LLVM" >&2; exit 1;; esac; echo "0.5 $part"; done\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(prepare.Part, "compile", lambda part: 0.25)
    monkeypatch.setattr(prepare.os, "cpu_count", lambda: 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SpikeportError, match=r"SP545.*real numbers.*no LLVM"):
        prepare.prepare()
    assert not ahead.stamp().exists()
    monkeypatch.delitem(prepare.PARTS, "real numbers")
    seconds = prepare.prepare()
    assert set(seconds) == set(prepare.PARTS)
    assert sorted(seconds.values()) == [0.25, 0.5, 0.5, 0.5]
    assert ahead.stamp().exists()
