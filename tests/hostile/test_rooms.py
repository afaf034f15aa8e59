"""Rooms in which little works: a disk that takes no more, no working directory, no output, no memory."""

from __future__ import annotations

import errno
import os
import resource
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from data_files import code
from format_mutants import original
from hostile.model_files import checkpoints, small
from hostile.result_files import records
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.record import Record
from spikeport.reporting import write
from spikeport.spike_train import Train
from spikeport.terminal import app, console, refusals, show
from spikeport.training import checkpoint
from spikeport.training.shipped import load


@contextmanager
def quota(size):
    """No file may grow beyond ``size`` bytes: the system refuses as it does where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # Python keeps the half of a module that it wrote
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = writes


def test_where_a_disk_takes_no_more_the_old_file_stays_and_no_part_is_left(tmp_path):
    (made := tmp_path / "made").mkdir()
    module, facts = load(made / "a.safetensors") if checkpoints(made) else None
    record = Record.load(made / "r.npz") if records(made) else None
    writers = {
        "a.nir": (lambda path: nir.write(original(), path), "SP201"),
        "a.onnx": (lambda path: onnx.write(original(), path), "SP201"),
        "d.nir": (record.save, "SP201"),
        "r.npz": (record.save, "SP970"),
        "c.safetensors": (lambda path: checkpoint.save(path, module, facts), "SP970"),
        "report.html": (lambda path: write({"model": "m"}, path), "SP970"),
        "p.png": (record.plot().save, "SP970"),
    }
    (place := tmp_path / "full").mkdir()
    for name, (save, refusal) in writers.items():
        (place / name).write_text("old")
        with quota(700):
            assert code(save, place / name) == refusal, name
        assert (place / name).read_text() == "old"
    assert sorted(each.name for each in place.iterdir()) == sorted(writers)


def test_frames_that_find_no_room_are_refused_before_they_are_made(tmp_path, monkeypatch):
    from spikeport_models.datasets.events import Events
    from spikeport_models.datasets.prepared import VARIABLE, Recording, prepared

    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    recording = Recording("a", "b", 0, lambda: Events(*np.zeros((4, 1), np.int64)))
    with quota(2000):
        assert code(prepared, "n", [recording], 4, (34, 34)) == "SP364"
    assert not list((tmp_path / "cache").iterdir())
    assert prepared("n", [recording], 1, (2, 2))[0].sum() == 1
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:130])  # cut short: made again
    assert prepared("n", [recording], 1, (2, 2))[0].sum() == 1


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "SP974"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "SP975"),
        (MemoryError(), "SP975"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "SP975"),
    ],
)
def test_what_the_system_refuses_has_a_code(error, refusal):
    with pytest.raises(SpikeportError) as caught, refusals.coded():
        raise error
    assert caught.value.code == refusal


def test_a_working_directory_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SpikeportError, match="SP971"), refusals.coded():
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_an_output_that_takes_no_more(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SpikeportError, match="SP973"), refusals.coded():
            console.echo("a line")


EVIL = "a[red]b[/bold]\x1b[2J\r\x9b\u202eco\udc80"


def test_names_are_text_and_never_control_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(console, "interactive", lambda: True)
    show.table(EVIL, ("a", EVIL), [(EVIL, "two\nlines\tand columns")])
    console.say(f"wrote {EVIL}.nir")
    text = "".join(capsys.readouterr())
    assert "wrote a[red]b[/bold]\\x1b[2J\\r\\x9b\\u202eco\\udc80.nir" in text
    assert not set(text) & set("\x1b\r\x9b\u202e\udc80")


def test_names_are_no_formulas_in_a_picture(tmp_path):
    name = r"_a$\frac{$" + EVIL
    spikes = Train.pack(np.ones((3, 2, 4), bool))
    record = Record(name, np.zeros((2, 3)), {name: 4}, {name: np.full(3, 8)}, {name: spikes})
    text = record.plot().save(tmp_path / "a.svg").read_text()
    assert r"\frac{" in text
    assert not set(text) & set("\x1b\x9b\u202e")


def test_commands_whose_names_are_markup_and_no_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"m[bold]\xff.nir")
    nir.write(small(), tmp_path / name)
    for words in (["export", name, "--out", "b[red].onnx"], ["inspect", name]):
        with pytest.raises(SystemExit) as end:
            app.build(words)(args=words)
        assert end.value.code == 0
    said = capsys.readouterr()
    assert "wrote b[red].onnx" in said.err
    assert "m[bold]\\udcff.nir" in said.out
