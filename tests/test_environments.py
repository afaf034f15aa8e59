"""Environments of their own: made whole or not at all, found again, and made again for other requirements."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from spikeport import environments
from spikeport.environments import MARKER, VARIABLE, Environment, find_python
from spikeport.findings import SpikeportError
from spikeport.verbs.doctor import doctor
from spikeport.verbs.targets import targets

HERE = sys.version_info[:2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of environments of this test's own."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "places"))
    return tmp_path / "places"


@pytest.fixture
def wheel(tmp_path):
    """A package of one module, which needs no index."""
    path = tmp_path / "lonely-1.0-py3-none-any.whl"
    facts = "Metadata-Version: 2.1\nName: lonely\nVersion: 1.0\n"
    files = {
        "lonely.py": "ALONE = 7\n",
        "lonely-1.0.dist-info/METADATA": facts,
        "lonely-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
        file.writestr("lonely-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in files))
    return str(path)


def test_an_environment_is_made_and_found_again_with_nothing_of_ours_in_it(place, wheel):
    lonely = Environment("lonely", HERE, (wheel,), "lonely")
    assert lonely.interpreter() is None
    python = lonely.install()
    assert python == lonely.interpreter() == place / "lonely" / "bin" / "python"
    code = "import importlib.util as u, lonely; print(lonely.ALONE, u.find_spec('spikeport'), u.find_spec('numpy'))"
    told = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["7", "None", "None"]

    made = (place / "lonely" / MARKER).stat().st_mtime_ns
    lonely.install()
    assert (place / "lonely" / MARKER).stat().st_mtime_ns == made  # it is there and works: nothing was done
    assert Environment("lonely", HERE, (wheel, "other==1.0"), "lonely").interpreter() is None
    (place / "lonely" / MARKER).unlink()
    assert lonely.interpreter() is None


@pytest.mark.parametrize("step", ["making the environment", "installing its packages", "importing absent_module"])
def test_a_step_that_fails_leaves_nothing_behind(place, step, monkeypatch):
    def run(command):
        words = list(map(str, command))
        now = (
            "making the environment"
            if "venv" in words
            else "installing its packages"
            if "pip" in words
            else "importing"
        )
        if "venv" in words:
            Path(words[-1]).mkdir()
        return subprocess.CompletedProcess(words, int(step.startswith(now)), "", "the disk is full")

    broken = Environment("broken", HERE, ("some==1.0",), "absent_module")
    monkeypatch.setattr(environments, "find_python", lambda version, who: Path(sys.executable))
    monkeypatch.setattr(environments, "_run", run)
    with pytest.raises(SpikeportError, match=step) as caught:
        broken.install()
    assert caught.value.code == "SP651"
    assert "the disk is full" in str(caught.value)
    assert "targets --install broken" in str(caught.value)
    assert not broken.folder.exists()


def test_an_interrupt_leaves_nothing_behind(place, monkeypatch):
    def interrupted(command):
        if "venv" in command:
            Path(command[-1]).mkdir()
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(environments, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Environment("cut", HERE, (), "sys").install()
    assert not (place / "cut").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"python": [3, 11]}'])
def test_a_marker_that_says_something_else_is_none(place, text):
    half = Environment("half", HERE, (), "sys")
    (half.folder / "bin").mkdir(parents=True)
    (half.folder / "bin" / "python").touch()
    (half.folder / MARKER).write_text(text)
    assert half.interpreter() is None


def test_the_data_folder_holds_them_where_nothing_else_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Environment("one", HERE, (), "sys").folder == tmp_path / "spikeport" / "environments" / "one"


def test_a_python_that_is_not_there_is_said_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert find_python(HERE, "this test") == Path(sys.executable)
    with pytest.raises(SpikeportError, match=r"no python3\.2 on the PATH") as caught:
        find_python((3, 2), "this test")
    assert caught.value.code == "SP650"


def test_a_python_on_the_path_that_does_not_run_is_not_taken(tmp_path, monkeypatch):
    """As pyenv's shims: the name is there, the version is not."""
    shim = tmp_path / "python3.2"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpikeportError, match="cannot make environments"):
        find_python((3, 2), "this test")


def test_a_target_without_an_environment_is_refused():
    with pytest.raises(SpikeportError) as caught:
        targets(install="integer")
    assert caught.value.code == "SP652"
    with pytest.raises(SpikeportError) as caught:
        targets(install="no such target")
    assert caught.value.code == "SP501"


def test_doctor_says_which_environments_there_are(place):
    assert all(text.startswith("missing: spikeport targets --install ") for text in doctor().environments.values())
