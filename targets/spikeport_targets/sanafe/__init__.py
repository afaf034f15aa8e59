"""Runs graphs on SANA-FE (GPL-3.0), only ever in a child process; importing this never imports sanafe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeport.target import Target


def SanaFe() -> Target:  # noqa: N802
    """The target ``sanafe``."""
    from spikeport_targets.sanafe.target import SanaFeTarget

    return SanaFeTarget()
