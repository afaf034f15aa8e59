"""Runs plans in nengo-loihi's own Python, watched by `guard`, and brings the results or the reason back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikeport.environments import Environment
from spikeport.target import Progress
from spikeport_targets import plans as plans_
from spikeport_targets import watched
from spikeport_targets.nengo_loihi.plan import Plan, Results

#: nengo-loihi 1.1.0 needs numpy < 1.24, whose last wheels are for Python 3.11; nengo is GPL-2.0
ENVIRONMENT = Environment(
    "nengo-loihi",
    python=(3, 11),
    requirements=(
        "nengo-loihi==1.1.0",
        "nengo==4.1.0",
        "numpy==1.23.5",
        "scipy==1.15.3",
        "jinja2==3.1.6",
        "markupsafe==3.0.4",
        "packaging==26.3",
    ),
    probe="nengo_loihi.emulator",
)
WORKER = Path(__file__).with_name("worker.py")
ERRORS = watched.Errors("nengo-loihi", exception="SP640", time="SP641", memory="SP642", killed="SP643")


def execute(
    python: Path, plans: Sequence[Plan], seconds: float, memory: int | None, progress: Progress
) -> list[Results]:
    """Run the plans one after the other.

    ``seconds`` and ``memory`` (bytes) limit the whole; ``progress`` is called with samples done and samples in all.
    Raises SP640 for an exception inside, SP641 past the time, SP642 past the memory, SP643 where it was killed.
    """
    return plans_.execute(WORKER, ERRORS, python, plans, seconds, memory, progress)
