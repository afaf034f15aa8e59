"""Parts of a training by name, spikeport's own and those that others bring, with options that are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from spikeport import plugins
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose


def names(kind: str, own: Mapping[str, Any]) -> list[str]:
    """All of a kind (one of `plugins.KINDS`): ``own`` and those of others."""
    return [*own, *(name for name in plugins.entries(f"spikeport.{kind}") if name not in own)]


def find(kind: str, name: str, own: Mapping[str, Any], code: str) -> Any:
    """The class or function of a name. Raises ``code`` where there is none."""
    others = plugins.entries(f"spikeport.{kind}")
    if name in others:
        return others[name].load()
    if name not in own:
        fail(code, f"there is no {plugins.one(kind)} {name!r}", mend=choose(name, names(kind, own)))
    return own[name]


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
