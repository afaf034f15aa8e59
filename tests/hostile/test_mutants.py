"""Thirty mutants of each format, and all that once ended otherwise than promised; ten thousand by command.

PYTHONPATH=tests python -m hostile run --count 10000      (see docs/results/reliability.md)
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hostile.formats import FORMATS
from hostile.shrink import _without, _zeroed, smaller
from hostile.worker import wrong

HERE = Path(__file__).parent
KEPT: dict[str, list[int]] = json.loads((HERE / "kept.json").read_text())  #: seeds of the mutants that once failed


@pytest.fixture(scope="module")
def ends():
    """How mutants of a format end, by their seeds, in one warm process for all formats."""
    command = [sys.executable, "-m", "hostile.worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": HERE.parent}
    with subprocess.Popen(command, **pipes) as server:

        def of(name, seeds):
            server.stdin.write(json.dumps([name, seeds]) + "\n")
            server.stdin.flush()
            return dict(iter(lambda: json.loads(server.stdout.readline()), None))

        yield of
        server.stdin.close()


@pytest.mark.parametrize("name", FORMATS)
def test_each_mutant_is_read_or_ends_in_one_coded_error(name, ends):
    if name == "trials":
        pytest.importorskip("optuna", reason="spikeport[search] is not installed")
    seeds = sorted({*range(30), *KEPT.get(name, ())})
    said = ends(name, seeds)
    assert [(seed, end) for seed, end in said.items() if wrong(end)] == []
    assert sorted(said) == seeds
    assert len(set(said.values())) > 1, "mutants that all end alike tell little"


def test_a_file_is_shrunk_to_what_its_end_needs():
    """Here a file ends so that has an a before a b: all else goes, or becomes zero where it may not go."""
    data = bytes(range(32, 127)) * 2

    def same(files):
        return next((n for n, each in enumerate(files) if 0 <= each.find(b"a") < each.rfind(b"b")), None)

    assert smaller(data, _without, same) == b"ab"
    zeroed = smaller(data, _zeroed, same)
    assert (len(zeroed), zeroed.replace(b"\0", b"")) == (len(data), b"ab")
