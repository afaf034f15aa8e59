"""What installed packages bring along, found by entry points: data sets, networks, and folders of files."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType


def entries(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group in the order of their names; nothing is imported yet."""
    return {entry.name: entry for entry in sorted(entry_points(group=group))}


def packages(group: str) -> list[ModuleType]:
    """The packages that a group names, whatever the names of the entry points."""
    return [entry.load() for entry in entries(group).values()]


def files(group: str, ending: str) -> dict[str, Path]:
    """The files with an ending in those packages, by their names without it, in the order of the names.

    One in a sub-folder has that in its name: ``paper/mpd-agl-cifar10-resnet19``.
    """
    folders = [Path(folder) for package in packages(group) for folder in package.__path__]
    paths = {p.relative_to(f).as_posix().removesuffix(ending): p for f in folders for p in f.rglob(f"*{ending}")}
    return dict(sorted(paths.items()))
