"""Whether facts of a file are of the types that they are said to have: a 4.0 is no 4, a 1 no True, a list no text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Any, get_args, get_type_hints

import numpy as np

from spikeport.graph import Array


def require_types(kind: type, values: Mapping[str, Any]) -> None:
    """Raise TypeError where a value is not of the type of the field of ``kind`` that it is for.

    Arrays go where a field may be an array, and nowhere else; other values are held to the hint, nothing is converted
    but whole numbers where a float is due.
    """
    hints = _hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise TypeError(f"a {kind.__name__} has no {name}")
        array, plain = _split(hints[name])
        if isinstance(value, np.ndarray) and array:
            continue
        if isinstance(value, np.ndarray) or plain is None or not _is(value, plain):
            raise TypeError(f"{name} of the {kind.__name__} is {value!r}"[:200])


def require_type(what: str, value: Any, hint: Any) -> None:
    """Raise TypeError where a value is not of the type of ``hint``."""
    if not _is(value, hint):
        raise TypeError(f"{what} is {value!r}"[:200])


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _split(hint: Any) -> tuple[bool, Any]:
    """Whether an array fits the hint, and what is left of it without arrays; None for nothing."""
    members = get_args(hint) if type(None) in get_args(hint) else (hint,)
    plain = tuple(member for member in members if member != Array)
    return len(plain) < len(members), reduce(or_, plain) if plain else None


def _is(value: Any, hint: Any) -> bool:
    from pydantic import ValidationError

    try:
        _adapter(hint).validate_python(value)
    except (ValidationError, RecursionError):
        return False
    return True


@cache
def _adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(hint, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
