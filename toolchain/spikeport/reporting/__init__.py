"""The report: one HTML file that needs no network, from a run's ``result.json``.

The names are imported when first used: a drawing needs no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikeport.first_use import on_first_use

if TYPE_CHECKING:
    from spikeport.reporting.drawing import draw as draw
    from spikeport.reporting.figures import gather as gather
    from spikeport.reporting.page import render as render
    from spikeport.reporting.page import write as write

_HOMES = {
    "draw": "spikeport.reporting.drawing",
    "gather": "spikeport.reporting.figures",
    "render": "spikeport.reporting.page",
    "write": "spikeport.reporting.page",
}
__all__ = ["draw", "gather", "render", "write"]

if not TYPE_CHECKING:
    __getattr__ = on_first_use(__name__, _HOMES)
