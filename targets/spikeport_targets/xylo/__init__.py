"""Runs graphs as Xylo computes them, on SynSense's xylosim, in a child process of its own Python.

xylosim states no licence: importing this never imports it, and `worker.py`, which does, imports nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeport.target import Target


def Xylo() -> Target:  # noqa: N802
    """The target ``xylo``."""
    from spikeport_targets.xylo.target import XyloTarget

    return XyloTarget()
