"""Which tensor of what a module returns is its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from spikeport.findings import fail


def chosen(outcome: Any, output: int | str | None) -> Tensor:
    """The one tensor of a result that counts. Raises SP385 where there are several and none is named."""
    values = _values(outcome)
    if output is None:
        if len(values) == 1:
            return next(iter(values.values()))
        if not values:
            fail("SP385", f"the module returns {type(outcome).__name__}, no tensor", mend="return one tensor")
        names = ", ".join(repr(key) for key in values)
        fail("SP385", f"the module returns {len(values)} results: {names}", mend=which(list(values)))
    if output not in values:
        names = ", ".join(repr(key) for key in values)
        fail("SP385", f"the module returns no result {output!r}; it has {names}", mend="name one of them")
    return values[output]


def which(keys: list[int | str]) -> str:
    """How to name one: of many numbered results, as a list of steps has them, the last."""
    key = keys[-1] if len(keys) > 2 else keys[0]
    verb = f"for a verb the tuple (net, input_shape, {{'output': {key!r}}})"
    return f"say which result counts: capture(..., output={key!r}), or {verb}"


def _values(outcome: Any) -> dict[int | str, Tensor]:
    if isinstance(outcome, Tensor):
        return {0: outcome}
    if isinstance(outcome, Mapping):
        return {str(key): value for key, value in outcome.items() if isinstance(value, Tensor)}
    if isinstance(outcome, tuple | list):
        values: dict[int | str, Tensor] = {n: v for n, v in enumerate(outcome) if isinstance(v, Tensor)}
        nested = [v for v in outcome if isinstance(v, Mapping | tuple | list)]
        return values or (_values(nested[0]) if len(nested) == 1 else {})
    return {}
