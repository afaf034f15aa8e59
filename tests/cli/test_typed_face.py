"""mypy sees the verbs, their parameters and their results in a user's own file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import spikeport

ROOT = Path(spikeport.__file__).parents[1]
GOOD = """
import spikeport

comparison = spikeport.compare("a.nir", "b.nir", data="digits", max_spike_mismatch=0)
reveal_type(comparison.parity.spike_mismatches)
reveal_type(spikeport.simulate("a.nir", "x.npy").outputs.dtype)
reveal_type(spikeport.load_model("a.nir").graph)
reveal_type(spikeport.explain("SP101").title)
reveal_type(len(spikeport.explain()))
"""
BAD = """
import spikeport

spikeport.compare("a.nir", "b.nir", max_spikes_mismatch=0)
spikeport.fit("a.nir", chip=3)
spikeport.simulate_("a.nir")
spikeport.fit("a.nir").bound
"""


def checked(text, folder):
    path = folder / "mine.py"
    path.write_text(text)
    settings = folder / "mypy.ini"
    settings.write_text(
        f"[mypy]\nstrict = True\nmypy_path = {ROOT}\nfollow_imports = silent\ncache_dir = {folder / 'cache'}\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=280).stdout


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("typed")
    return checked(GOOD, folder), checked(BAD, folder)


def test_results_have_their_types(words):
    lines = [line for line in words[0].splitlines() if "Revealed type" in line]
    for line, kind in zip(lines, ("int", "numpy.dtype[Any]", "Graph", "str", "int"), strict=True):
        assert kind in line
    assert "error" not in words[0]


def test_a_misspelt_keyword_a_wrong_type_and_an_unknown_name_are_errors(words):
    errors = [line for line in words[1].splitlines() if "error" in line and "mine.py" in line]
    assert [line.rpartition("[")[2] for line in errors] == ["call-arg]", "arg-type]", "attr-defined]", "attr-defined]"]
