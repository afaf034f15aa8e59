"""All training methods by name."""

from __future__ import annotations

from spikeport.findings import fail
from spikeport.nearest import choose
from spikeport.training.methods import DsAtgo, Fixed, Method, MpdAgl
from spikeport.training.neighbours import Lsg, Masked, Psg

METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (Fixed, MpdAgl, DsAtgo, Lsg, Psg, Masked)}


def method(name: str, **options: object) -> Method:
    """The method of a name with its options. Raises SP313 for an unknown name or option."""
    if name not in METHODS:
        fail("SP313", f"there is no training method {name!r}", mend=choose(name, METHODS))
    try:
        return METHODS[name](**options)  # type: ignore[arg-type]
    except TypeError as error:
        fail("SP313", f"the method {name!r} does not take these options ({error})")
