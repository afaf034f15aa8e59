"""``spikeport targets``: where a model can run, and environments for targets that need one of their own."""

from __future__ import annotations

from typing import Annotated

from spikeport.environments import Environment
from spikeport.findings import fail
from spikeport.target import Availability, registry, target
from spikeport.verbs.parameters import Help


def targets(
    install: Annotated[str | None, Help("First make the environment of this target.", metavar="TARGET")] = None,
) -> dict[str, Availability]:
    """Where a model can run, what is installed, and how to get what is not.

    ``install`` first makes the environment of a target whose packages cannot live beside spikeport's, in the user's
    data folder or in the one that the variable SPIKEPORT_ENVIRONMENTS names.

    Raises SP501 for an unknown target, SP652 for one without an environment, SP650 and SP651 where making it fails.

    Examples:

        spikeport targets

        spikeport targets --install nengo-loihi

        spikeport targets --json
    """
    if install is not None:
        known = environments()
        here = target(install).availability()
        if install not in known:
            mend = "it is ready" if here.ready else here.mend
            fail("SP652", "this target has no environment of its own", where=f"target {install!r}", mend=mend)
        known[install].install()
    return {name: target.availability() for name, target in registry().items()}


def environments() -> dict[str, Environment]:
    """The environments that targets have, by the name of the target."""
    known = {name: getattr(target, "environment", None) for name, target in registry().items()}
    return {name: environment for name, environment in known.items() if environment is not None}
