"""Runs a Graph in batches, or an endless stream, with torch: real and Loihi arithmetic.

The names are imported when first used: most of what stands in here needs no compiled loops, which take a while to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikeport.engine.endless import Stream as Stream
    from spikeport.engine.endless import stream as stream
    from spikeport.engine.run import simulate as simulate

_HOMES = {"simulate": "run", "Stream": "endless", "stream": "endless"}
__all__ = ["Stream", "simulate", "stream"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'spikeport.engine' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(f"spikeport.engine.{_HOMES[name]}"), name)
        return value
