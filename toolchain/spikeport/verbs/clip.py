"""``--clip``: input beyond what integers were made for, cut off as a chip's inputs would, and how much there was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import Array, Graph, Loihi, Samples
from spikeport.graph.inputs import cut_off
from spikeport.verbs.load import Data


def clipped(data: Data, *graphs: Graph) -> Data:
    """The samples within what may enter each of these networks, and SP528: how many values were cut off."""
    x = data.x
    for graph in graphs:
        x = clipped_values(x, graph)
    cut = Samples(x != data.x, graphs[0].entry.coding).frames
    samples = np.asarray(cut.any((0, *range(2, cut.ndim))))
    note = said(graphs, int(cut.sum()), cut.size, data.name, f", in {samples.sum():,} of {len(samples):,} samples,")
    return replace(data, x=x, findings=(*data.findings, note))


def cuts(graph: Graph, *parts: Data) -> tuple[Finding, ...]:
    """SP528 of those parts of which something is cut off."""
    notes = [clipped(each, graph).findings[-1] for each in parts]
    return tuple(dict.fromkeys(note for note in notes if note.severity == "substituted"))


def clipped_values(x: Array, graph: Graph) -> Array:
    """Values within what may enter a network in integers; as they are for one in real numbers."""
    return cut_off(graph.entry, x) if isinstance(graph.arithmetic, Loihi) else x


def idle(why: str, where: str = "") -> Finding:
    """SP528 where there is nothing that could be cut off."""
    return Finding("SP528", f"nothing was cut off: {why}", where=where, mend="leave --clip out", severity="note")


def said(graphs: tuple[Graph, ...], cut: int, values: int, where: str, samples: str = "") -> Finding:
    """SP528."""
    entries = [graph.entry for graph in graphs if isinstance(graph.arithmetic, Loihi)]
    if not entries:
        return idle("real numbers enter as they are", where)
    low = max(node.low * float(node.unit) for node in entries)
    high = min(node.high * float(node.unit) for node in entries)
    ends = f"{low:.6g} and {high:.6g}"
    if not cut:
        return Finding("SP528", f"no value lies beyond {ends}: nothing was cut off", where=where, severity="note")
    what = f"{cut:,} of {values:,} values{samples} were cut off at {ends}"
    mend = "quantise again with data that span the input, to cut nothing off"
    return Finding("SP528", what, where=where, mend=mend, severity="substituted")
