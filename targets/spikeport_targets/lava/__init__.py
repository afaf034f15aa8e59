"""Runs graphs on Lava (lava-nc 0.10), in a process group of its own; importing this never imports lava.

The worker process imports this package too, so nothing heavier than a function lives here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeport.target import Target


def Lava() -> Target:  # noqa: N802
    """The target ``lava``."""
    from spikeport_targets.lava.target import LavaTarget

    return LavaTarget()
