"""All training methods by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose
from spikeport.training.methods import DsAtgo, Fixed, Method, MpdAgl
from spikeport.training.neighbours import Lsg, Masked, Psg

METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (Fixed, MpdAgl, DsAtgo, Lsg, Psg, Masked)}


def method(name: str, **options: Any) -> Method:
    """The method of a name with its options.

    Raises SP313 for an unknown name, and for every option that is unknown, of the wrong type or out of its range.
    """
    if name not in METHODS:
        fail("SP313", f"there is no training method {name!r}", mend=choose(name, METHODS))
    known, where = [field.name for field in fields(METHODS[name])], f"method {name!r}"
    if unknown := [option for option in options if option not in known]:
        raise SpikeportError(
            Finding("SP313", f"has no option {option!r}", where, mend=choose(option, known)) for option in unknown
        )
    try:
        return TypeAdapter(METHODS[name]).validate_python(options)
    except ValidationError as error:
        raise SpikeportError(
            Finding("SP313", f"{one['loc'][0]} = {one['input']!r}: {one['msg'].lower()}", where)
            for one in error.errors()
        ) from None
