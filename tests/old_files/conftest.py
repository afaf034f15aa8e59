"""The files of an old version, in a folder where a test may write."""

from __future__ import annotations

import gzip
import shutil

import pytest

from old_files import facts


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """All files as 0.1 wrote them; tests only read here."""
    place = tmp_path_factory.mktemp("old") / "files"
    shutil.copytree(facts.FILES, place)
    for path in place.glob("formats/*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    return place


@pytest.fixture
def old(unpacked, monkeypatch):
    """The same, as the current folder: what the files name, they name from there."""
    monkeypatch.chdir(unpacked)
    return unpacked
