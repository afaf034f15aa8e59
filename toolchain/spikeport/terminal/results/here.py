"""What is installed, and what codes mean: ``targets``, ``doctor``, ``explain``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.catalogue import Page
from spikeport.target import Availability
from spikeport.terminal import console, show
from spikeport.terminal.results import Shown
from spikeport.verbs.doctor import Doctor


def _targets(known: Mapping[str, Availability], values: Mapping[str, Any]) -> None:
    rows = [(name, "ready" if a.ready else "missing", a.version or a.why, a.mend) for name, a in known.items()]
    show.table("targets", ("target", "state", "version, or why not", "how to get it"), rows)


def _doctor(doctor: Doctor, values: Mapping[str, Any]) -> None:
    versions = [(name, version or "not installed") for name, version in doctor.versions.items()]
    show.table("versions", ("package", "version"), versions)
    _targets(doctor.targets, values)
    if doctor.environments:
        show.table("environments", ("target", "where, or how to make it"), list(doctor.environments.items()))
    show.table("data sets", ("name", "where, or how to get it"), list(doctor.datasets.items()))
    show.table("GPU", ("name",), [(doctor.gpu,)])
    if doctor.prepared:
        show.table("loops", ("of", "seconds"), [(name, f"{took:.1f}") for name, took in doctor.prepared.items()])


def _explain(pages: Page | Mapping[str, Page], values: Mapping[str, Any]) -> None:
    if isinstance(pages, Page):
        console.echo(f"{pages.code}  {pages.title}\n\n{pages.why}\n\n{pages.mend}")
    else:
        show.table("codes", ("code", "what"), [(page.code, page.title) for page in pages.values()])


SHOWN = {"targets": Shown(_targets), "doctor": Shown(_doctor), "explain": Shown(_explain)}
