"""Frames that are made once: the same numbers, little memory, nothing stale and nothing by halves."""

import os
import tracemalloc
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from data_files import nmnist_bytes
from spikeport import datasets
from spikeport.findings import SpikeportError
from spikeport.training.parts import Part
from spikeport_models.datasets import nmnist
from spikeport_models.datasets.events import frames
from spikeport_models.datasets.prepared import folder

RNG = np.random.default_rng(8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    monkeypatch.setenv("SPIKEPORT_CACHE", str(place))
    return place


def recording(seed, count=30):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 34, (2, count))
    return nmnist_bytes(np.sort(rng.integers(0, 300_000, count)), x, y, rng.integers(0, 2, count))


@pytest.fixture
def tree(tmp_path):
    for label in range(10):
        for number in range(15):
            path = tmp_path / "set" / "Train" / str(label) / f"{number:05d}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(recording(15 * label + number))
    return tmp_path / "set"


def bodies(tree):
    """Every recording in the order of its path, with its digit."""
    return [(path.read_bytes(), int(path.parent.name)) for path in sorted(tree.rglob("*.bin"))]


def test_frames_are_those_of_the_recordings(tree, cache):
    """All splits together are all recordings, each counted by itself."""
    expected = sorted((label, frames(nmnist.read_bin(body), 10, (34, 34)).tobytes()) for body, label in bodies(tree))
    counted = []
    for split in ("train", "val", "test"):
        part = datasets.load("n-mnist", split, tree)
        assert part.x.dtype == np.float32
        counted += [(int(label), part.x[:, n].tobytes()) for n, label in enumerate(part.y)]
    assert sorted(counted) == expected
    assert len(list(cache.iterdir())) == 3


def test_recordings_are_read_once(tree, cache, monkeypatch):
    first = datasets.load("n-mnist", "test", tree)
    monkeypatch.setattr(nmnist, "read_bin", None)
    again = datasets.load("n-mnist", "test", tree)
    assert np.array_equal(first.x, again.x)
    assert np.shares_memory(again.x, Part.of(again.x, again.y, "events").x.numpy())  # training copies nothing
    again.x[:] = 0  # a copy of the pages: the file stays
    assert np.array_equal(first.x, datasets.load("n-mnist", "test", tree).x)


@pytest.mark.parametrize("packed", [False, True])
def test_another_recording_gives_other_frames(packed, tree, cache, tmp_path):
    """Of the same length: its time of change, or its checksum in the archive, tells."""
    place = tree

    def load():
        if not packed:
            return datasets.load("n-mnist", "train", tree)
        nonlocal place
        place = tmp_path / "a.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for path in sorted(tree.rglob("*.bin")):
                archive.writestr(path.relative_to(tree).as_posix(), path.read_bytes())
        return datasets.load("n-mnist", "train", place)

    before = load()
    for path in tree.rglob("*.bin"):
        path.write_bytes(nmnist_bytes([1] * 30, [33] * 30, [33] * 30, [1] * 30))
    after = load()
    assert after.x[:, :, 1, 33, 33].sum() == after.x.sum() == before.x.sum()
    assert not np.array_equal(before.x, after.x)
    assert datasets.load("n-mnist", "train", place, timesteps=3).x.shape[0] == 3


def test_a_preparation_that_fails_leaves_nothing(tree, cache):
    (tree / "Train" / "3" / "00004.bin").write_bytes(nmnist_bytes([5], [40], [1], [0]))
    codes = set()
    for split in ("train", "val", "test"):
        try:
            datasets.load("n-mnist", split, tree)
        except SpikeportError as error:
            codes.add(error.code)
            assert len(list(cache.iterdir())) == {"train": 0, "val": 1, "test": 2}[split]
    assert codes == {"SP362"}


def test_a_cache_that_cannot_be_written_is_an_error_with_a_way_out(tree, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPIKEPORT_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(SpikeportError) as caught:
        datasets.load("n-mnist", "test", tree)
    assert caught.value.code == "SP364"
    monkeypatch.setenv("SPIKEPORT_CACHE", str(tmp_path / "small"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(SpikeportError, match="bytes are needed, 1,000 are free") as caught:
        datasets.load("n-mnist", "test", tree)
    assert caught.value.code == "SP364"
    assert "SPIKEPORT_CACHE" in caught.value.findings[0].mend


def test_the_users_cache_is_the_place(monkeypatch, tmp_path):
    monkeypatch.delenv("SPIKEPORT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "spikeport"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".cache" / "spikeport"


@pytest.mark.shared_data
def test_a_large_set_never_lies_in_memory(shared_data, cache):
    """A thousand real recordings are 92 MB of frames in a zip of 17 MB; making and reading them takes a few MB."""
    place = shared_data / "n-mnist-subset.zip"
    if not place.is_file():
        pytest.skip("no n-mnist-subset.zip in the shared data")
    datasets.load("digits", "val")  # what is imported on first use does not count
    tracemalloc.start()
    try:
        for _ in range(2):
            for split in ("train", "val", "test"):
                part = datasets.load("n-mnist", split, place)
                assert float(part.x[:, :50].sum()) > 25_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(os.path.getsize(path) for path in cache.iterdir()) > 92_000_000
    assert peak < 8_000_000
