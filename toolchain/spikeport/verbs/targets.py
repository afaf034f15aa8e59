"""``spikeport targets``: where a model can run."""

from __future__ import annotations

from spikeport.target import Availability, registry


def targets() -> dict[str, Availability]:
    """Every target by name, and whether it can run here."""
    return {name: target.availability() for name, target in registry().items()}
