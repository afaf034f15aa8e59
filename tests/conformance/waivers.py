"""What targets are excused from: `waivers.toml` beside this file, and a plug-in's own that SPIKEPORT_WAIVERS names."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.cases import Case
from conformance.targets import Tried
from spikeport.graph import Synapse
from spikeport.graph.loihi import BEYOND, SATURATED, WRAPPED
from spikeport.record import Record

FILE = Path(__file__).with_name("waivers.toml")


@dataclass(frozen=True)
class Waiver:
    """Differences of one target that are no defects, and the reason."""

    target: str
    what: tuple[str, ...]
    why: str
    when: str = ""

    def excuses(self, what: str, where: str, case: Case, tried: Tried) -> bool:
        """Whether a difference is waived."""
        return what in self.what and (not self.when or CONDITIONS[self.when](where, case, tried))


def lavas_own_neurons(where: str, case: Case, tried: Tried) -> bool:
    from spikeport_targets.lava import Lava

    return Lava().processes(case.graph)[where][1]


def beyond_and_said(where: str, case: Case, tried: Tried) -> bool:
    """Somewhere in the network, since what is wrong goes on from layer to layer."""
    beyond = any(BEYOND in kinds for kinds in case.truth.overflows.values())
    record = tried.outcome
    assert isinstance(record, Record)
    counted = any(BEYOND in kinds for kinds in record.overflows.values())
    return beyond and (counted or any(finding.code == "SP624" for finding in record.findings))


def saturated_and_said(where: str, case: Case, tried: Tried) -> bool:
    """In a layer that check named; what is wrong goes on from layer to layer."""
    said = {finding.where for finding in tried.findings if finding.code in ("SP747", "SP657")}
    return any(SATURATED in kinds and f"node {name!r}" in said for name, kinds in case.truth.overflows.items())


def wrapped_and_said(where: str, case: Case, tried: Tried) -> bool:
    """Somewhere in the network, as the target counts it."""
    record = tried.outcome
    wraps = isinstance(record, Record) and any(
        "wrapped" in kind for kinds in record.overflows.values() for kind in kinds if kind != WRAPPED
    )
    return wraps and any(finding.code == "SP637" for finding in tried.findings)


def between_events_and_said(where: str, case: Case, tried: Tried) -> bool:
    """Somewhere in the network, as the record counts it, in a layer that check named."""
    from spikeport_targets.xylo.records import BETWEEN

    record = tried.outcome
    said = {finding.where for finding in tried.findings if finding.code == "SP677"}
    counted = record.overflows.items() if isinstance(record, Record) else ()
    return any(BETWEEN in kinds and f"node {name!r}" in said for name, kinds in counted)


def at_a_synapse(where: str, case: Case, tried: Tried) -> bool:
    """Of findings the suite looks at a synapse for SP513 alone."""
    return isinstance(case.graph.nodes.get(where), Synapse)


CONDITIONS: dict[str, Callable[[str, Case, Tried], bool]] = {
    "lava's own neurons": lavas_own_neurons,
    "a current beyond 24 bits, and said": beyond_and_said,
    "a membrane that saturates, and said": saturated_and_said,
    "a current that wraps on Loihi 1, and said": wrapped_and_said,
    "a current that saturates between events, and said": between_events_and_said,
    "a value that is several messages": at_a_synapse,
}


def read(path: Path) -> list[Waiver]:
    """The waivers of a file."""
    entries = tomllib.loads(path.read_text("utf-8"))["waiver"]
    return [Waiver(**entry | {"what": tuple(entry["what"])}) for entry in entries]


def waivers(target: str) -> list[Waiver]:
    """Those of a target."""
    files = [FILE, *map(Path, filter(None, [os.environ.get("SPIKEPORT_WAIVERS")]))]
    return [waiver for file in files for waiver in read(file) if waiver.target == target]
