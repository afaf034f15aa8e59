"""Runs plans in sinabs' own Python, watched by `guard`, and brings the results or the reason back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikeport.environments import Environment
from spikeport.target import Progress
from spikeport_targets import plans as plans_
from spikeport_targets import watched
from spikeport_targets.speck.plan import Plan, Results

#: sinabs comes alone: it asks for samna, whose import fetches software from elsewhere, and for packages that draw
ENVIRONMENT = Environment(
    "speck",
    python=(3, 11),
    requirements=("torch==2.13.0", "numpy==2.3.5", "pbr==7.1.3", "nir==1.0.4", "nirtorch==1.0", "h5py==3.16.0"),
    alone=("sinabs==3.1.3",),
    probe="torch, nirtorch",
)
WORKER = Path(__file__).with_name("worker.py")
ERRORS = watched.Errors("sinabs", exception="SP659", time="SP660", memory="SP661", killed="SP662")


def execute(
    python: Path, plans: Sequence[Plan], seconds: float, memory: int | None, progress: Progress
) -> list[Results]:
    """Run the plans one after the other.

    ``seconds`` and ``memory`` (bytes) limit the whole; ``progress`` is called with samples done and samples in all.
    Raises SP659 for an exception inside, SP660 past the time, SP661 past the memory, SP662 where it was killed.
    """
    return plans_.execute(WORKER, ERRORS, python, plans, seconds, memory, progress)
