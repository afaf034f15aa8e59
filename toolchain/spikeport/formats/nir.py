"""NIR, the interchange format of neuromorphic tools: write any Graph, read our own files back to the bit."""

from __future__ import annotations

from pathlib import Path

from spikeport.findings import Finding, require
from spikeport.formats import nir_file, nir_foreign, nir_own
from spikeport.formats.nir_lower import Thresholds
from spikeport.graph import Graph

DT = 1e-4  #: seconds a step; NIR has no dt, and most tools take this one (snnTorch, SpikingJelly)


def write(graph: Graph, path: Path | str, thresholds: Thresholds = "guard", dt: float = DT) -> tuple[Finding, ...]:
    """Write a graph, real or quantised. Returns what a reader with another tool should know.

    Thresholds that are constant become a plain LIF that other tools run unchanged. What NIR cannot say (schedules, soft
    resets, integers) stands in the metadata, and ``thresholds`` says what a tool finds that ignores them: "guard"
    writes +inf, so that such neurons never fire there; "approx" writes the mean over time, which fires almost alike.

    Raises SP201 if the file cannot be written, SP206 if the graph holds what the format cannot.
    """
    require(thresholds in ("guard", "approx"), "SP206", f"thresholds is {thresholds!r}", mend='use "guard" or "approx"')
    require(0 < dt < 1e6, "SP206", f"dt is {dt} seconds", mend="a step takes more than nothing")
    tree, findings = nir_own.to_tree(graph, thresholds, float(dt))
    nir_file.save(tree, Path(path))
    return tuple(findings)


def read(path: Path | str, dt: float = DT) -> tuple[Graph, tuple[Finding, ...]]:
    """Read a NIR file. A file of ours comes back to the bit.

    Raises SP201 (no such file, not HDF5), SP202 (damaged), SP203 (metadata stripped), SP204 (altered), SP205 (needs
    features this version does not know), SP207 (claims more than it can hold).
    """
    path = Path(path)
    tree = nir_file.load(path)
    if nir_own.announced(tree):
        return nir_own.from_tree(tree, str(path)), ()
    return nir_foreign.read(tree, str(path), dt)
