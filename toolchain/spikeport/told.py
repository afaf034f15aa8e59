"""How a result shows itself in Python and in a notebook: a fact a field, long ones by their size."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields
from html import escape
from typing import Any

LONG = 60  #: characters of one fact; what takes more is told by its kind and size


class Told:
    """Base of the dataclasses that verbs return, which leave ``repr`` to it: short however large the result is."""

    def facts(self) -> Iterator[tuple[str, str]]:
        """Each field that ``repr`` shows, with its value or its size; those that are empty are left out."""
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if item.repr and not (value is None or _empty(value)):
                yield item.name, _short(value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={text}' for name, text in self.facts())})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self.facts())
        return f"<p><b>{type(self).__name__}</b></p><table>{rows}</table>"


def _empty(value: Any) -> bool:
    """Whether a collection holds nothing; an array of no axes holds one number."""
    return isinstance(value, Collection) and getattr(value, "shape", None) != () and len(value) == 0


def _short(value: Any) -> str:
    if getattr(value, "shape", None) == () and hasattr(value, "dtype"):
        return str(value)  # one number
    if hasattr(value, "shape") and hasattr(value, "dtype") and value.shape:
        return f"<{value.dtype} {list(value.shape)}>"
    if isinstance(value, Collection) and not isinstance(value, str | bytes) and len(value) > 3:
        return f"<{len(value)} entries>"
    text = repr(value) if isinstance(value, str | int | float | bool | bytes | Collection) else _name(value)
    return text if len(text) <= LONG else f"{text[: LONG - 2]} …" if isinstance(value, str) else _name(value)


def _name(value: Any) -> str:
    name = getattr(value, "name", None)
    size = f" of {len(value)}" if isinstance(value, Collection) else ""
    return f"<{type(value).__name__}{size}{f' {name}' if isinstance(name, str) else ''}>"
