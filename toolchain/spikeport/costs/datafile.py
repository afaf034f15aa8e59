"""Data files with constants, cost models and chips: found by name or path, and checked field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from spikeport import reading
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose

M = TypeVar("M", bound=BaseModel)


def shipped_texts(package: str, folder: str) -> dict[str, str]:
    """The TOML files in a folder of a package, by name without ending, in alphabetical order."""
    entries = [entry for entry in (files(package) / folder).iterdir() if entry.name.endswith(".toml")]
    entries.sort(key=lambda entry: entry.name)
    return {entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8") for entry in entries}


def shipped(kind: type[M], package: str, folder: str) -> dict[str, M]:
    """The data files in a folder of a package, checked, by name without ending, which is the ``id`` of each."""
    return {
        name: checked(kind, {**toml(text, name), "id": name}, text, f"{name}.toml")
        for name, text in shipped_texts(package, folder).items()
    }


def read(path: Path, code: str, kind: str, known: Iterable[str]) -> str:
    """The text of a user's own file.

    Raises ``code`` where the name is not that of a TOML file or there is none, SP702 for one that cannot be read.
    """

    def missing(what: str, where: str = "") -> NoReturn:
        fail(code, what, where=where, mend=f"{choose(path.name, known)}; or pass the path of a .toml file")

    if path.suffix != ".toml":
        missing(f"there is no {kind} {str(path)!r}")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        missing("there is no such file", str(path))
    except (OSError, UnicodeDecodeError) as error:
        fail("SP702", f"cannot be read ({error})", where=str(path))


def toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises SP702 where it is none."""
    try:
        return reading.toml_tables(text)
    except ValueError as error:
        fail("SP702", f"is not TOML: {error}", where=where, mend="mend the line named")


def checked(kind: type[M], plain: Mapping[str, Any], text: str, where: str) -> M:
    """``plain`` as a pydantic model. Raises SP703 with one finding, file and line for each wrong field."""
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        raise SpikeportError(
            Finding(
                "SP703",
                f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}",
                where=f"{where}:{line_of(text, problem['loc'])}",
                why="a number without unit, range or source cannot be checked by whoever reads the report.",
                mend="give each constant value, low, high, unit, basis and source, none of them negative",
            )
            for problem in error.errors()
        ) from None


def line_of(text: str, location: Sequence[str | int]) -> int:
    """The line (from 1) of a key in a TOML text, or of the table it is missing from."""
    path = [str(part) for part in location]
    table: list[str] = []
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = stripped.split("]")[0].strip("[] ").replace('"', "").split(".")
            here = table
        elif "=" in stripped and not stripped.startswith("#"):
            here = [*table, *stripped.split("=")[0].strip().replace('"', "").split(".")]
        else:
            continue
        if here == path[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best
