"""The child that reads .aedat4 files: one for many, and another where one ended."""

import io

import numpy as np
import pytest

from data_files import aedat4, aedat_or_skip
from spikeport_models.datasets import apart


def test_one_child_reads_many_files_and_another_follows_where_a_file_ends_it(tmp_path):
    aedat_or_skip()
    codec, path = apart.Codec(), tmp_path / "a.aedat4"
    try:
        children = []
        for number in range(5):
            path.write_bytes(aedat4([[(5, number, 2, 1)]]) if number != 2 else b"#!AER-DAT4.0\r\n" + bytes(40))
            if number == 2:
                with pytest.raises(ValueError, match="the codec ended on it"):
                    codec.read(path)
                assert codec._child is None
            else:
                assert np.load(io.BytesIO(codec.read(path)))["x"].tolist() == [number]
                children.append(codec._child.pid)
        assert children[0] == children[1] != children[2] == children[3]
    finally:
        codec.end()


def test_whatever_breaks_off_an_answer_ends_the_child_that_gives_it(tmp_path, monkeypatch):
    aedat_or_skip()
    codec, path = apart.Codec(), tmp_path / "a.aedat4"
    path.write_bytes(aedat4([[(5, 1, 2, 1)]]))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(codec, "_exactly", lambda *_: (_ for _ in ()).throw(MemoryError))
            with pytest.raises(MemoryError):
                codec.read(path)
        path.write_bytes(aedat4([[(5, 7, 2, 1)]]))
        assert np.load(io.BytesIO(codec.read(path)))["x"].tolist() == [7]
    finally:
        codec.end()


def test_a_codec_that_does_not_come_back_is_ended(tmp_path, monkeypatch):
    codec = apart.Codec()
    monkeypatch.setattr(apart, "SECONDS", 0.0)
    try:
        with pytest.raises(ValueError, match="does not come back"):
            codec.read(tmp_path / "a.aedat4")
        assert codec._child is None
    finally:
        codec.end()


def test_a_large_recording_comes_back_whole(tmp_path):
    aedat_or_skip()
    codec, path = apart.Codec(), tmp_path / "a.aedat4"
    times = np.arange(60_000)  # two megabytes of .npz, of which a pipe holds 64 KiB
    path.write_bytes(aedat4([[(int(t), int(t) % 128, 2, 1) for t in times]]))
    try:
        assert np.array_equal(np.load(io.BytesIO(codec.read(path)))["t"], times)
        assert np.array_equal(np.load(io.BytesIO(codec.read(path)))["x"], times % 128)
    finally:
        codec.end()
