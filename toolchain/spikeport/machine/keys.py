"""The name of a loop's machine code on disk: a number for the sources that went into it, and for no others.

numba keeps code until the loop's own file changes. What that file imports may be compiled into the loop as well: other
loops, vectors, constants. All of that lies in the folder of the file, or in `machine`; for a file that is none of the
package's, anywhere in it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
#: where a file's imports end: what a function imports, no loop holds
BODY = re.compile(r"^(?:def \w|class \w|@\w)", re.MULTILINE)


@cache
def key(file: Path, package: Path = PACKAGE) -> str:
    """Twelve digits for a source file and the files that may be compiled into its loops."""
    digest = hashlib.sha256()
    for path in sorted(sources(file, package)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def sources(file: Path, package: Path = PACKAGE) -> frozenset[Path]:
    """A source file, those that may be compiled into its loops, those that may be compiled into theirs, and so on."""
    known: set[Path] = set()
    waiting = [file] if file.is_file() else []  # a loop that was typed in has none
    while waiting:
        path = waiting.pop()
        if path not in known:
            known.add(path)
            waiting += _imported(path, package)
    return frozenset(known)


@cache
def _imported(file: Path, package: Path) -> tuple[Path, ...]:
    """The files that a source file imports from its own folder or from `machine`; from outside, all of the package."""
    head = BODY.split(file.read_text("utf-8"), maxsplit=1)[0]  # to parse all of a file takes ten times as long
    paths = (_file(name, package) for name in _names(ast.parse(head), package))
    outside, near = not file.is_relative_to(package), (file.parent, package / "machine")
    return tuple(path for path in paths if path is not None and (outside or path.parent in near))


def _names(tree: ast.Module, package: Path) -> Iterator[str]:
    """Modules that a source imports; of a folder, the modules that are imported from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if _file(name, package) else node.module for name in inside)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _file(module: str, package: Path) -> Path | None:
    """The source of a module of the package."""
    first, *rest = module.split(".")
    path = package.joinpath(*rest)
    candidates = (path.with_suffix(".py"), path / "__init__.py") if first == PACKAGE.name and rest else ()
    return next((candidate for candidate in candidates if candidate.is_file()), None)
