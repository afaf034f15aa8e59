"""Files appear whole or not at all, whoever else writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from spikeport.files import HERE, locked, plain, replacing, write_json, write_text
from spikeport.findings import SpikeportError


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "result.json"
    with replacing(path) as part:
        part.write_text("new")
        assert part.parent == tmp_path
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def interrupted(part):
    part.write_text("ne")
    raise KeyboardInterrupt


def test_after_an_exception_the_old_content_stays_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        interrupted(part)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_before_anything_is_written_is_the_one_that_is_raised(tmp_path):
    with pytest.raises(SpikeportError, match="gone") as caught, replacing(tmp_path / "gone" / "result.json") as part:
        part.write_text("new")
    assert caught.value.code == "SP970"
    assert not list(tmp_path.iterdir())


def test_a_block_that_writes_nothing_says_so_and_keeps_the_old_content(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(SpikeportError, match="SP970"), replacing(path):
        pass
    assert path.read_text() == "old"


def test_what_a_killed_writer_left_is_taken_away_and_what_another_writes_is_not(tmp_path):
    path = tmp_path / "result.json"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"result.json.{HERE}-{ended.pid}-12345678.part").write_text("ne")
    (tmp_path / f"result.json.{HERE}-{os.getppid()}-12345678.part").write_text("another")
    write_text(path, "new")
    assert sorted(each.read_text() for each in tmp_path.iterdir()) == ["another", "new"]


def test_a_folder_is_locked_for_one_and_nothing_is_left_in_it(tmp_path):
    place = tmp_path / "new"
    with locked(place, "SP972"), pytest.raises(SpikeportError, match="SP972"), locked(place, "SP972"):
        pass
    with locked(tmp_path / "new", "SP972"):
        assert not list((tmp_path / "new").iterdir())


def test_of_two_writers_the_last_to_end_has_the_file_whole(tmp_path):
    path = tmp_path / "result.json"
    with replacing(path) as slow:
        slow.write_text("slow, beg")
        with replacing(path) as fast:
            fast.write_text("fast")
        assert path.read_text() == "fast"
        slow.write_text("slow, begun first")
    assert path.read_text() == "slow, begun first"
    assert list(tmp_path.iterdir()) == [path]


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    path, lengths = tmp_path / "result.json", range(1, 9)
    threads = [threading.Thread(target=write_json, args=(path, [n] * 20_000 * n)) for n in lengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = json.loads(path.read_text())
    assert numbers == numbers[:1] * 20_000 * numbers[0]
    assert list(tmp_path.iterdir()) == [path]


def test_text_and_json_to_the_byte(tmp_path):
    write_text(tmp_path / "page", "größer\n")
    write_json(tmp_path / "facts", {"a": [1, "ß"]})
    assert (tmp_path / "page").read_bytes() == "größer\n".encode()
    assert (tmp_path / "facts").read_bytes() == b'{\n "a": [\n  1,\n  "\\u00df"\n ]\n}\n'


@dataclass(frozen=True)
class Inner:
    counts: np.ndarray
    place: Path | None


@dataclass(frozen=True)
class Outer:
    inner: dict[str, Inner]
    pair: tuple[Inner, float]
    drawing: str = field(default="long", repr=False)


class Told:
    def as_dict(self):
        return {"said": "otherwise"}


def test_json_has_the_fields_of_a_result_and_of_what_it_holds():
    inner = Inner(np.arange(3), Path("a") / "b")
    value = {"outer": Outer({"x": inner}, (Inner(np.zeros((1, 2)), None), np.float32(0.5))), "told": [Told()]}
    same = {"counts": [0, 1, 2], "place": "a/b"}
    assert json.loads(json.dumps(plain(value))) == {
        "outer": {"inner": {"x": same}, "pair": [{"counts": [[0.0, 0.0]], "place": None}, 0.5]},
        "told": [{"said": "otherwise"}],
    }
