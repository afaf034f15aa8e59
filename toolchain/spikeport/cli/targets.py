"""``spikeport targets``."""

from __future__ import annotations

from spikeport.terminal import show


def targets(json: show.Json = False) -> None:
    """Where a model can run, what is installed, and how to get what is not.

    Examples:

        spikeport targets

        spikeport targets --json
    """
    from spikeport.verbs.targets import targets as look

    found = look()
    if json:
        show.as_json(
            {name: {"ready": a.ready, "version": a.version, "why": a.why, "mend": a.mend} for name, a in found.items()}
        )
        return
    rows = [
        (name, "ready" if a.ready else "missing", a.version if a.ready else a.why, a.mend) for name, a in found.items()
    ]
    show.table("targets", ("target", "state", "version, or why not", "how to get it"), rows)
