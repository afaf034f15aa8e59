"""A copy of the project at a commit, in which mutants are written; the checkout is never touched."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "mutants"
PLAN = tomllib.loads((Path(__file__).parent / "plan.toml").read_text("utf-8"))


def git(*arguments: str) -> bytes:
    """What git says of the checkout."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def unpack(commit: str, tree: Path) -> None:
    """Write the files of a commit. Equal files keep their time of change, so that compiled loops stay valid."""
    members = {}
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
        for member in archive:
            if member.isfile():
                members[member.name] = archive.extractfile(member).read()
    for name, content in members.items():
        path = tree / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for path in (path for root in ("toolchain", "targets", "models", "tests") for path in (tree / root).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(tree).as_posix() not in members:
            path.unlink()


def sources(tree: Path) -> dict[str, dict[str, str]]:
    """The files of each room of the plan: path below toolchain/spikeport, and text."""
    package = tree / "toolchain" / "spikeport"
    return {
        room: {
            path.relative_to(package).as_posix(): path.read_text("utf-8")
            for pattern in chosen["files"]
            for path in sorted(package.glob(pattern))
        }
        for room, chosen in PLAN["rooms"].items()
    }


@contextmanager
def written(path: Path, text: str) -> Iterator[None]:
    """The file with another text, for a while."""
    before, times = path.read_bytes(), path.stat()
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # what was compiled of it is valid again
