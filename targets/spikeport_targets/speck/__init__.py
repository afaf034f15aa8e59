"""Runs graphs as Speck computes them, on sinabs' integrate-and-fire layers, in a child process of its own Python.

Importing this never imports sinabs, nor samna, which it asks for; `worker.py`, which does, imports nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeport.target import Target


def Speck() -> Target:  # noqa: N802
    """The target ``speck``."""
    from spikeport_targets.speck.target import SpeckTarget

    return SpeckTarget()
