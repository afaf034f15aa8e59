"""Runs plans in xylosim's own Python, watched by `guard`, and brings the results or the reason back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikeport.environments import Environment
from spikeport.target import Progress
from spikeport_targets import plans as plans_
from spikeport_targets import watched
from spikeport_targets.xylo.plan import Plan, Results

#: pip builds xylosim from its sources, with a C++ compiler
ENVIRONMENT = Environment(
    "xylo",
    python=(3, 11),
    requirements=("numpy==2.3.5", "pybind11==3.1.0", "xylosim==0.1.3"),
    probe="numpy, xylosim.v2",
)
WORKER = Path(__file__).with_name("worker.py")
ERRORS = watched.Errors("xylosim", exception="SP678", time="SP679", memory="SP680", killed="SP681")


def execute(
    python: Path, plans: Sequence[Plan], seconds: float, memory: int | None, progress: Progress
) -> list[Results]:
    """Run the plans one after the other.

    ``seconds`` and ``memory`` (bytes) limit the whole; ``progress`` is called with samples done and samples in all.
    Raises SP678 for an exception inside, SP679 past the time, SP680 past the memory, SP681 where it was killed.
    """
    return plans_.execute(WORKER, ERRORS, python, plans, seconds, memory, progress)
