"""Loops that are compiled beside a command: when, and that no process stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spikeport import ahead, process

LATE = 30  #: seconds within which a process must have ended


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SPIKEPORT_KERNELS", raising=False)
    monkeypatch.setattr(process, "processors", lambda: 2)
    monkeypatch.setattr(ahead.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(process, "most_memory", lambda: ahead.LEAST)


def test_it_is_worthwhile_until_all_is_compiled():
    assert ahead.worthwhile(["run", "digits"])
    ahead.compiled()
    assert not ahead.worthwhile(["run", "digits"])


@pytest.mark.parametrize("lack", ["help", "processors", "memory", "plain", "somebody"])
def test_it_is_not_where_something_lacks(lack, monkeypatch):
    words = ["run", "digits", *(["--help"] if lack == "help" else [])]
    if lack == "processors":
        monkeypatch.setattr(process, "processors", lambda: 1)
    if lack == "memory":
        monkeypatch.setattr(process, "most_memory", lambda: ahead.LEAST - 1)
    if lack == "somebody":
        monkeypatch.setattr(ahead.sys.stderr, "isatty", lambda: False, raising=False)
    if lack == "plain":
        monkeypatch.setenv("SPIKEPORT_KERNELS", "plain")
    assert not ahead.worthwhile(words)


def test_another_cache_or_other_code_is_compiled_again(monkeypatch, tmp_path):
    ahead.compiled()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "other"))
    assert ahead.worthwhile(["run"])
    ahead.compiled()
    code = tmp_path / "code"
    (code / "verbs").mkdir(parents=True)
    (code / "verbs" / "prepare.py").write_text("")
    monkeypatch.setattr(ahead, "PACKAGE", code)
    assert ahead.worthwhile(["run"])


def test_a_cache_that_may_not_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    ahead.compiled()
    assert ahead.worthwhile(["run"])


def fake(monkeypatch, tmp_path):
    """An interpreter that notes its words and its number, and waits."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$$ $@" > {tmp_path}/begun.part\nmv {tmp_path}/begun.part {tmp_path}/begun\n')
    python.write_text(python.read_text() + "exec sleep 600\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))


def begun(folder: Path) -> list[str]:
    file = folder / "begun"
    wait(file.exists)
    return file.read_text().split()


def wait(done) -> None:
    end = time.monotonic() + LATE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_process_beside_a_command_ends_with_it(monkeypatch, tmp_path):
    fake(monkeypatch, tmp_path)
    with ahead.compiling(["quantize", "m.nir"]):
        pid, *words = begun(tmp_path)
        assert words == ["-m", "spikeport.verbs.prepare", "beside", str(os.getpid())]
        assert alive(int(pid))
        assert os.getsid(int(pid)) == os.getsid(0), "in a session of its own its low priority would count for nothing"
        assert os.getpgid(int(pid)) != os.getpgid(0), "Ctrl-C is not for it"
    assert not alive(int(pid))


def test_a_command_does_without_where_the_system_gives_no_process(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with ahead.compiling(["run", "digits"]):
        pass


def test_other_commands_start_none(monkeypatch):
    def none(*_, **__):
        raise AssertionError

    monkeypatch.setattr(subprocess, "Popen", none)
    with ahead.compiling(["evaluate", "m.nir"]), ahead.compiling([]):
        pass


def test_it_ends_by_itself_when_the_command_is_killed():
    """The command: a process that starts another, which watches it, and is killed."""
    child = (
        "import os, time; from spikeport import ahead; ahead.stand_back(os.getppid()); print(os.getpid(), flush=True)"
    )
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child + '; time.sleep(600)'!r}])"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            pid = int(parent.stdout.readline())
            assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        finally:
            parent.send_signal(signal.SIGKILL)
        wait(lambda: not alive(pid))
