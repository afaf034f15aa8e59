"""Samples between the whole steps of the calibration data: `SP402` said that nothing is rounded, of these it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import Graph

if TYPE_CHECKING:
    from spikeport.verbs.load import Data

BLOCK = 64  #: samples looked at in one go


def off_grid(data: Data, graph: Graph) -> tuple[Finding, ...]:
    """SP403 of samples that are rounded by integers made for data that are not; none for other networks."""
    facts = graph.provenance.get("quantised")
    if not isinstance(facts, Mapping):
        return ()
    from spikeport.quantisation.inputs import TOLERANCE  # which verbs that read no integers do without
    from spikeport.quantisation.plan import EXACT

    if facts.get(EXACT) is not True:
        return ()
    if data.x.dtype.kind not in "fiub":
        return ()
    unit, between, furthest = float(graph.entry.unit), 0, 0.0
    ahead = (slice(None),) * data.axis
    for start in range(0, data.x.shape[data.axis], BLOCK):
        steps = data.x[(*ahead, slice(start, start + BLOCK))] / unit
        with np.errstate(invalid="ignore"):  # what is not finite is refused when it runs
            away = np.abs(steps - np.rint(steps))
        between += int(np.count_nonzero(away > TOLERANCE))
        furthest = max(furthest, float(away.max(initial=0.0)))
    if not between:
        return ()
    what = f"{between:,} of {data.x.size:,} values are no whole multiples of {unit:.6g}, and are rounded to them "
    what += f"(by at most {furthest * unit:.3g})"
    why = "all calibration data were, so that the unit of the input was made for them."
    mend = "scale the samples as the calibration data were, or calibrate on samples like these"
    where = f"{data.name} ({data.split})"
    return (Finding("SP403", what, where=where, why=why, mend=mend, severity="substituted"),)
