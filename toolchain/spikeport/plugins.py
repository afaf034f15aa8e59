"""What others bring along: installed packages by entry points, and single files that say ``@plugin(...)``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any, Protocol, TypeVar

from spikeport import ending
from spikeport.findings import Finding, SpikeportError, fail, require
from spikeport.nearest import choose
from spikeport.reading import line

#: what a file may bring: the groups of entry points without ``spikeport.`` before them
KINDS = ("methods", "surrogates", "neurons", "losses", "augmentations", "schedules", "networks", "datasets")

OURS = "spikeport."  #: how the groups of entry points begin
RUN = "spikeport_plugin_"  #: how the modules of files that were run begin

Thing = TypeVar("Thing")


class Entry(Protocol):
    """A name, and what is imported when it is first needed."""

    @property
    def name(self) -> str:
        """How it is called."""

    def load(self) -> Any:
        """The thing itself."""


@dataclass(frozen=True, slots=True)
class Own:
    """What a file brought."""

    name: str
    thing: Any

    def load(self) -> Any:
        return self.thing


_own: dict[str, dict[str, Own]] = {}


def one(kind: str) -> str:
    """A kind's word for one of it: losses, a loss."""
    return kind.removesuffix("es") if kind.endswith("sses") else kind.removesuffix("s")


def plugin(kind: str, name: str) -> Callable[[Thing], Thing]:
    """Make what follows known under a name, in this process: ``@plugin("methods", "mine")`` above a class or function.

    It goes before an installed one of the same name. Raises SP323 for a kind that there is not.
    """
    require(kind in KINDS, "SP323", f"nothing of the kind {kind!r} can be brought", mend=choose(kind, KINDS))

    def know(thing: Thing) -> Thing:
        _own.setdefault(f"spikeport.{kind}", {})[name] = Own(name, thing)
        return thing

    return know


def run_file(path: Path | str) -> ModuleType:
    """Run a file of plug-ins: what ``spikeport --plugin FILE`` does. Raises SP323 where it cannot be run."""
    path = Path(path)
    name = f"{RUN}{path.stem}"
    while name in sys.modules:  # of another file that is called alike, or of an earlier run
        name += "_"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        fail("SP323", "is no Python file", where=str(path), mend="name a .py file whose parts say @plugin(kind, name)")
    module = sys.modules[name] = module_from_spec(spec)  # dataclasses look their annotations up there
    try:
        spec.loader.exec_module(module)
    except SpikeportError:
        raise
    except BaseException as error:
        if ending.asked(error):
            raise
        fail("SP323", f"cannot be run: {type(error).__name__}: {error}", where=str(path), mend="mend the file")
    return module


@contextmanager
def named() -> Iterator[None]:
    """What the block raises, as SP327 with the plug-in's file and line where it came through one; else as it is."""
    try:
        yield
    except SpikeportError:
        raise
    except BaseException as error:  # a plug-in's own may be no Exception
        every = [] if ending.asked(error) else extract_tb(error.__traceback__)
        last = every[-1:] if isinstance(error, SystemExit) else every  # who calls the command line ends so, too
        calls = [call for call in last if _brought(call.filename)]
        if not calls:
            raise
        what = f"a plug-in raised {type(error).__name__}: {line(error)}"
        where = f"{calls[-1].filename}, line {calls[-1].lineno}"
        why = f"there it says {calls[-1].line!r}." if calls[-1].line else ""
        raise SpikeportError(Finding("SP327", what, where, why, mend="mend the plug-in")) from error


def _brought(file: str) -> bool:
    """Whether a file of Python's is one that was run, or lies in a package whose entry points bring something."""
    own = [module.__file__ for name, module in [*sys.modules.items()] if name.startswith(RUN)]
    if file in own:
        return True
    known = _installed(_folders())
    points = [entry for group in known.groups if group.startswith(OURS) for entry in known.select(group=group)]
    others = {
        entry.module.partition(".")[0] for entry in points if entry.dist is None or entry.dist.name != "spikeport"
    }
    return any(Path(file).is_relative_to(folder) for name in others for folder in _places(name))


def _places(package: str) -> list[Path]:
    module = sys.modules.get(package)
    inside = [*getattr(module, "__path__", [])] or [getattr(module, "__file__", None)]
    return [Path(place) for place in inside if place]


def entries(group: str) -> dict[str, Entry]:
    """What there is of a group, in the order of the names; nothing is imported yet."""
    known: dict[str, Entry] = {entry.name: entry for entry in _installed(_folders()).select(group=group)}
    return dict(sorted((known | _own.get(group, {})).items()))


@lru_cache(maxsize=1)
def _installed(folders: tuple[tuple[str, float], ...]) -> Any:
    """All entry points of what is installed: they lie in as many files as there are distributions."""
    return entry_points()


def _folders() -> tuple[tuple[str, float], ...]:
    """Where distributions lie, and when something was last put there."""
    return tuple((folder, os.stat(folder or ".").st_mtime) for folder in sys.path if os.path.isdir(folder or "."))


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
