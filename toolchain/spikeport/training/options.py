"""Parts of a training by name, spikeport's own and those that others bring, with options that are checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from spikeport import plugins
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose

STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
BRING = "or bring it: --plugin FILE.py"


def names(kind: str, own: Mapping[str, Any]) -> list[str]:
    """All of a kind (one of `plugins.KINDS`): ``own`` and those of others."""
    return [*own, *(name for name in plugins.entries(f"spikeport.{kind}") if name not in own)]


def find(kind: str, name: str, own: Mapping[str, Any], code: str) -> Any:
    """The class or function of a name. Raises ``code`` where there is none."""
    others = plugins.entries(f"spikeport.{kind}")
    if name in others:
        return others[name].load()
    if name not in own:
        fail(code, f"there is no {plugins.one(kind)} {name!r}", mend=f"{choose(name, names(kind, own))}, {BRING}")
    return own[name]


def unfit(values: Mapping[str, Any], known: Iterable[str], hints: Mapping[str, Any], where: str, code: str) -> None:
    """Raises ``code`` for every value that is none of the ``known`` options, or not what its annotation says."""
    names, findings = sorted(known), []
    for name, value in values.items():
        if name not in names:
            mend = choose(name, names) if names else "it has no options"
            findings.append(Finding(code, f"has no option {name!r}", where, mend=mend))
            continue
        try:
            TypeAdapter(hints.get(name, Any), config=STRICT).validate_python(value)
        except ValidationError as error:
            findings += [_unfit(name, one, where, code) for one in error.errors()]
    if findings:
        raise SpikeportError(findings)


def _unfit(name: str, error: Any, where: str, code: str) -> Finding:
    place = "".join(f"[{step}]" for step in error["loc"] if isinstance(step, int))
    what, why = f"{name}{place} = {error['input']!r}", error["msg"][:1].lower() + error["msg"][1:]
    return Finding(code, f"{what}: {why}", where, mend=f"give {name} what it takes, or leave it out")


def make(kind: str, name: str, own: Mapping[str, Any], options: Mapping[str, Any], code: str) -> Any:
    """A frozen dataclass of a name with its options, each checked by its annotation; a function as it is.

    Raises ``code`` for an unknown name, and for every option that is unknown, of the wrong type or out of its range.
    """
    what, where = find(kind, name, own, code), f"{plugins.one(kind)} {name!r}"
    known = [field.name for field in fields(what)] if is_dataclass(what) else []
    if unknown := [option for option in options if option not in known]:
        mend = choose(unknown[0], known) if known else "it has no options"
        raise SpikeportError(Finding(code, f"has no option {option!r}", where, mend=mend) for option in unknown)
    if not is_dataclass(what):
        return what
    try:
        return TypeAdapter(what).validate_python(dict(options))
    except ValidationError as error:
        raise SpikeportError(
            Finding(code, f"{one['loc'][0]} = {one['input']!r}: {one['msg'].lower()}", where) for one in error.errors()
        ) from None
