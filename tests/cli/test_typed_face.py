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


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """What mypy says of the good file and of the bad one, in one run."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("typed")
    (folder / "good.py").write_text(GOOD)
    (folder / "bad.py").write_text(BAD)
    settings = folder / "mypy.ini"
    settings.write_text(
        f"[mypy]\nstrict = True\nmypy_path = {ROOT}\nfollow_imports = silent\ncache_dir = {folder / 'cache'}\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "good.py", "bad.py"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=280).stdout
    lines = said.splitlines()
    return [[line for line in lines if line.startswith(name)] for name in ("good.py", "bad.py")]


def test_results_have_their_types(words):
    lines = [line for line in words[0] if "Revealed type" in line]
    for line, kind in zip(lines, ("int", "numpy.dtype[Any]", "Graph", "str", "int"), strict=True):
        assert kind in line
    assert not [line for line in words[0] if "error" in line]


def test_a_misspelt_keyword_a_wrong_type_and_an_unknown_name_are_errors(words):
    errors = [line for line in words[1] if "error" in line]
    assert [line.rpartition("[")[2] for line in errors] == ["call-arg]", "arg-type]", "attr-defined]", "attr-defined]"]
