"""Plug-ins and code of users that raise what is no Exception: a finding with the line, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import spikeport
from spikeport import ending, plugins
from spikeport.findings import SpikeportError
from spikeport.graph import Graph, Input, Linear, Readout
from spikeport.jobs.executor import attempt
from spikeport.jobs.job import Job
from spikeport.tracing.code import named

TARGET = """
from spikeport.target import Availability
class Mine(BaseException):
    pass
class Boom:
    name = "boom"
    error = Mine
    def availability(self):
        return Availability(True, "1", "here", "")
    def check(self, graph):
        return []
    def run(self, graph, samples, request):
        raise self.error("my own end")  # line 13
class Leaves(Boom):
    error = SystemExit
"""


@pytest.fixture
def installed(tmp_path):
    """A package with targets and nothing else, as pip leaves it; a network and samples."""
    (tmp_path / "boom_targets.py").write_text(TARGET)
    facts = tmp_path / "boom_targets-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: boom-targets\nVersion: 1.0\n")
    entries = "[spikeport.targets]\nboom = boom_targets:Boom\nleaves = boom_targets:Leaves\n"
    (facts / "entry_points.txt").write_text(entries)
    nodes = {"in": Input((2,), "direct"), "a": Linear(np.eye(2, dtype=np.float32))}
    graph = Graph.chain({**nodes, "out": Readout((2,), np.ones(2, np.float32))}, 2)
    spikeport.export(graph, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", x=np.ones((3, 2), np.float32), y=[0, 1, 0])
    return tmp_path


@pytest.mark.parametrize(("target", "kind"), [("boom", "Mine"), ("leaves", "SystemExit")])
def test_a_targets_own_end_is_told_with_its_line(installed, target, kind):
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    words = ["evaluate", "m.nir", "--data", "x.npz", "--target", target]
    done = subprocess.run(
        [sys.executable, "-m", "spikeport", *words],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"boom_targets.py, line 13: a plug-in raised {kind}: my own end" in done.stderr
    assert "SP327" in done.stderr
    assert "Traceback" not in done.stderr


def test_code_that_leaves_python_is_told_as_any_other_failure(tmp_path):
    (tmp_path / "leaving.py").write_text("import sys\ndef net():\n    sys.exit('no weights here')\n")
    (tmp_path / "own_end.py").write_text("class Mine(BaseException): pass\nraise Mine('at once')\n")
    for file, words in (("leaving.py:net", "SystemExit: no weights here"), ("own_end.py:net", "Mine: at once")):
        with pytest.raises(SpikeportError, match=f"SP397.*{words}"):
            named(f"{tmp_path / file}")
    with pytest.raises(SpikeportError, match=r"SP323.*Mine: at once"):
        plugins.run_file(tmp_path / "own_end.py")


def test_a_jobs_own_end_is_the_jobs():
    """A worker that goes with it would run it again, eight times."""

    class Mine(BaseException):
        pass

    def perform(_):
        raise Mine("my own end")

    (finding,) = attempt(Job(print, {}), perform)
    assert (finding.code, finding.what) == ("SP952", "Mine: my own end")


def test_who_is_interrupted_or_asked_to_end_is_no_plug_in(tmp_path, monkeypatch):
    """Ctrl-C in a plug-in's line stays one, and so does what SIGTERM raises there."""
    file = tmp_path / "mine.py"
    file.write_text("def wait():\n    raise KeyboardInterrupt\ndef leave():\n    raise SystemExit(143)\n")
    module = plugins.run_file(file)
    with pytest.raises(KeyboardInterrupt), plugins.named():
        module.wait()
    with pytest.raises(SpikeportError, match="SP327"), plugins.named():
        module.leave()
    monkeypatch.setattr(ending.moment, "by", 15)
    with pytest.raises(SystemExit), plugins.named():
        module.leave()
