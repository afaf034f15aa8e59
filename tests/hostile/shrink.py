"""A file that ends otherwise than promised, made smaller for as long as it ends so: what is left shows why."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from hostile.formats import FORMATS, mutant
from hostile.originals import File
from hostile.worker import judged

TRIED = 64  #: files tried at once
PARTS = 256  #: into which a file is cut at most


def shrunk(name: str, seed: int, ended: str) -> File:
    """The mutant of a number without the parts that its end does not need, the others zeroed where they may be."""
    with tempfile.TemporaryDirectory() as folder:
        ending, data = mutant(name, FORMATS[name].originals(Path(folder)), seed)
        kind = ended.split(":")[0]

        def same(files: list[bytes]) -> int | None:
            ends = judged(name, [*range(len(files))], lambda number: (ending, files[number]), Path(folder))
            return next((number for number, end in ends if end.split(":")[0] == kind), None)

        return ending, smaller(smaller(data, _without, same), _zeroed, same)


def smaller(
    data: bytes, change: Callable[[bytes, int, int], bytes], same: Callable[[list[bytes]], int | None]
) -> bytes:
    """Change halves, quarters, … for as long as ``same`` finds a changed file that ends as before."""
    parts = 2
    while parts <= min(PARTS, len(data)):
        size = -(-len(data) // parts)
        tried = (change(data, start, size) for start in range(0, len(data), size))
        better = next(_better(tried, data, same), None)
        data, parts = (data, parts * 2) if better is None else (better, max(2, parts - 1))
    return data


def _better(tried: Iterator[bytes], data: bytes, same: Callable[[list[bytes]], int | None]) -> Iterator[bytes]:
    while files := [each for each in islice(tried, TRIED) if each != data]:
        if (number := same(files)) is not None:
            yield files[number]


def _without(data: bytes, start: int, size: int) -> bytes:
    return data[:start] + data[start + size :]


def _zeroed(data: bytes, start: int, size: int) -> bytes:
    part = data[start : start + size]
    return data[:start] + bytes(len(part)) + data[start + size :]
