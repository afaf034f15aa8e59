"""The report: one HTML file that needs no network, from a run's ``result.json``.

The names are imported when first used: a drawing needs no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikeport.reporting.drawing import draw as draw
    from spikeport.reporting.figures import gather as gather
    from spikeport.reporting.page import render as render
    from spikeport.reporting.page import write as write

_HOMES = {"draw": "drawing", "gather": "figures", "render": "page", "write": "page"}
__all__ = ["draw", "gather", "render", "write"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'spikeport.reporting' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(f"spikeport.reporting.{_HOMES[name]}"), name)
        return value
