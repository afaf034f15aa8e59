"""``spikeport targets``: where a model can run."""

from __future__ import annotations

from spikeport.target import Availability, registry


def targets() -> dict[str, Availability]:
    """Where a model can run, what is installed, and how to get what is not.

    Examples:

        spikeport targets

        spikeport targets --json
    """
    return {name: target.availability() for name, target in registry().items()}
