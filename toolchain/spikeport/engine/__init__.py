"""Runs a Graph in batches, or an endless stream, with torch: real and Loihi arithmetic.

The names are imported when first used: most of what stands in here needs no compiled loops, which take a while to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikeport.first_use import on_first_use

if TYPE_CHECKING:
    from spikeport.engine.endless import Stream as Stream
    from spikeport.engine.endless import stream as stream
    from spikeport.engine.run import simulate as simulate

_HOMES = {
    "simulate": "spikeport.engine.run",
    "Stream": "spikeport.engine.endless",
    "stream": "spikeport.engine.endless",
}
__all__ = ["Stream", "simulate", "stream"]

if not TYPE_CHECKING:
    __getattr__ = on_first_use(__name__, _HOMES)
