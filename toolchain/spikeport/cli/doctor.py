"""``spikeport doctor``."""

from __future__ import annotations

from spikeport.terminal import show


def doctor(json: show.Json = False) -> None:
    """Versions, targets, data sets and the GPU: what is here, and how to get what is not.

    Examples:

        spikeport doctor

        spikeport doctor --json
    """
    from spikeport.verbs.doctor import doctor as look

    found = look()
    if json:
        show.as_json(found.as_dict())
        return
    show.table("versions", ("package", "version"), [(n, v or "not installed") for n, v in found.versions.items()])
    rows = [(n, "ready" if a.ready else "missing", a.version or a.why, a.mend) for n, a in found.targets.items()]
    show.table("targets", ("target", "state", "version, or why not", "how to get it"), rows)
    show.table("data sets", ("name", "where, or how to get it"), list(found.datasets.items()))
    show.table("GPU", ("name",), [(found.gpu,)])
