"""Which tool wrote a file, where its numbers tell: for those who did not say, as a note and as the mend of a refusal.

NIR names no writer. Some leave marks that NIR's own documents give no reason for; what each means is in conventions.py
and hidden_dt.py. A mark is no proof, so that nothing is read by it: the user is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import Finding, SpikeportError
from spikeport.formats.nir.conventions import Conventions
from spikeport.formats.nir.hidden_dt import SHORTEST, TAU, hidden_dt
from spikeport.formats.nir.subgraphs import Flat

Real = NDArray[np.float64]
SAME = 1e-4  #: relative; float32 files agree to about 1e-6
RATE = 100.0  #: steps a second, at least: r of integrating neurons is 1, or so many
AS_IT_IS = {"coding", "output"}  #: options that say nothing of the writer's equations


@dataclass(frozen=True)
class Mark:
    """What of a file is as one tool writes it."""

    tool: str
    what: str
    dt: float | None = None  #: seconds a step, where the mark tells that and the tool's habits do not

    @property
    def option(self) -> str:
        """What to write."""
        return f"--nir written_by={self.tool}" + ("" if self.takes(Conventions.dt) else f" --dt {self.dt:.6g}")

    def takes(self, dt: float) -> bool:
        """Whether a step of so many seconds is its own, or it has none."""
        return self.dt is None or abs(self.dt - dt) <= SAME * self.dt

    def note(self) -> Finding:
        """SP216."""
        return Finding("SP216", self.what, mend=f"{self.option} reads it so", severity="note")


def mark(network: Flat, conventions: Conventions) -> Mark | None:
    """The first mark of a tool; None where there is none, or the user has said how the file is to be read.

    Who names the tool still has to say the step that its numbers hold.
    """
    if conventions.told - AS_IT_IS:
        return None
    with np.errstate(all="ignore"):  # numbers that are none bear no mark
        found = next(_marks(network), None)
    if found is None or not conventions.written_by:
        return found
    return found if found.tool == conventions.written_by and not found.takes(conventions.dt) else None


def mended(finding: Finding, found: Mark | None) -> Finding:
    """A refusal of the file's time constants, with what they are likely to mean for its mend."""
    if found is None or finding.code != "SP213" or found.tool == "snntorch":
        return finding
    return Finding(finding.code, finding.what, finding.where, f"{found.what}.", f"{found.option} reads it so")


def _marks(network: Flat) -> Iterator[Mark]:
    leaky = {name: raw for name, raw in network.nodes.items() if raw.kind in TAU}
    integrating = _values(network, ("IF",), "r")
    if integrating.size and integrating.min() >= RATE and np.ptp(integrating) <= SAME * integrating.max():
        dt = float(1 / integrating.mean())
        what = f"r of integrating neurons is {integrating.mean():g}, which is 1 / dt as SpikingJelly writes it"
        yield Mark("spikingjelly", what, dt)
    taus = np.concatenate([_values(network, tuple(TAU), key) for key in ("tau", "tau_syn", "tau_mem")])
    taus = taus[np.isfinite(taus)]
    if not leaky or not taus.size or taus.min() <= 0:
        return
    span = f"time constants are {_span(taus)}"
    if (_values(network, tuple(TAU), "r") == 1).all():
        if taus.max() < SHORTEST and taus.min() < Conventions.dt:
            yield Mark(
                "norse", f"{span} s, as if tau were multiplied by the step of 0.001 s, as Norse does (norse #411)"
            )
        if taus.min() >= 1:
            yield Mark("sinabs", f"{span}, which are steps rather than seconds, as Sinabs writes them")
        return
    steps = _steps(network)
    if (np.abs(steps - Conventions.dt) <= SAME * Conventions.dt).all():
        what = f"r is tau / {Conventions.dt:g} s in every layer, as snnTorch writes it"
        if all(raw.kind == "CubaLIF" for raw in leaky.values()):
            what = f"{what}, and NIR's importer of lava-dl (written_by=lava-dl)"
        yield Mark("snntorch", what)
    elif np.unique(taus).size > 1:
        with contextlib.suppress(SpikeportError):  # r holds no one step
            hidden = hidden_dt(network)
            yield Mark("rockpool", f"r hides one step of {hidden:.6g} s in every layer, as Rockpool writes it")


def _steps(network: Flat) -> Real:
    """Seconds a step, were r = tau / dt in every layer."""
    parts = []
    for raw in network.nodes.values():
        if raw.kind in TAU:
            pairs = [(TAU[raw.kind], "r"), *([("tau_syn", "w_in")] if "w_in" in raw.fields else [])]
            parts += [np.asarray(raw.parameter(a) / raw.parameter(b), np.float64).reshape(-1) for a, b in pairs]
    return np.concatenate(parts)


def _values(network: Flat, kinds: tuple[str, ...], key: str) -> Real:
    found = [raw.parameter(key) for raw in network.nodes.values() if raw.kind in kinds and key in raw.fields]
    return np.concatenate([np.zeros(0), *(np.asarray(each, np.float64).reshape(-1) for each in found)])


def _span(values: Real) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
