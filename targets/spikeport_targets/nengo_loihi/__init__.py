"""Runs graphs on nengo-loihi's emulator of Loihi 1 (nengo is GPL-2.0), only ever in a child process of its own Python.

Importing this never imports nengo; `worker.py`, which does, imports nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeport.target import Target


def NengoLoihi() -> Target:  # noqa: N802
    """The target ``nengo-loihi``."""
    from spikeport_targets.nengo_loihi.target import NengoLoihiTarget

    return NengoLoihiTarget()
