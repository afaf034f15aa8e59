"""Replay: our exact spike trains through SANA-FE's chip, for its energy, messages and timing.

Every neuron of every layer plays its train back, so nothing depends on SANA-FE's neurons: any reset, decay and
threshold. Edges have weight 0, since what they cost does not depend on it. Layers are shifted by their depth, as the
chip's pipeline would; samples follow each other without a gap, and the pipeline is drained at the end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.costs.model import shipped
from spikeport.graph import Array, Input
from spikeport.mapping import Mapping
from spikeport.mapping.replayed import played
from spikeport.record import Record
from spikeport_targets.sanafe.architecture import COMPARTMENTS, architecture, entry_cores
from spikeport_targets.sanafe.child import Outcome, execute
from spikeport_targets.sanafe.edges import edges
from spikeport_targets.sanafe.plan import Group, Plan

MODEL = "loihi1-sanafe2025"


def replay(
    mapping: Mapping, samples: Array, record: Record, *, seconds: float | None = None, memory: int | None = None
) -> Outcome:
    """SANA-FE's account of a run, all samples together. ``samples`` are those of the run.

    Raises SP704 where a spike train is missing, SP741 and SP742 for a graph that it cannot take, SP743 ... SP745 for a
    child process that ends badly.
    """
    return execute(plan(mapping, samples, record), seconds, memory)


def plan(mapping: Mapping, samples: Array, record: Record) -> Plan:
    """The plan of a replay."""
    graph = mapping.graph
    trains = played(mapping, record, samples)
    groups = [
        Group(name, "inputs" if name == graph.input else "replays", cores(mapping, name), train)
        for name, train in trains.items()
    ]
    silent = tuple(replace(each, weight=np.zeros_like(each.weight)) for each in edges(graph))
    return Plan(chip(mapping, groups), tuple(groups), silent, len(trains[graph.input]))


def cores(mapping: Mapping, name: str) -> Array:
    """[neurons]: the cores of a layer, as SANA-FE numbers them: tiles column by column, upwards in each.

    Values of the input are on the further cores of the first tile, where the mapping has them.
    """
    mesh = mapping.chip.mesh
    entry = entry_cores(_inputs(mapping))
    core = mapping.core_of(name).ravel()
    if isinstance(mapping.graph.nodes[name], Input):
        return mesh.cores_per_tile + np.arange(core.size) // COMPARTMENTS
    column, row = mapping.position(core)
    tile = column * mesh.rows + row
    slot = core % mapping.chip["cores"] % mesh.cores_per_tile
    return np.asarray(tile * mesh.cores_per_tile + slot + np.where(tile > 0, entry, 0))


def chip(mapping: Mapping, groups: list[Group]) -> str:
    """An architecture with as many columns of the mesh, and units a core, as the groups need."""
    mesh = mapping.chip.mesh
    units = max(int(np.bincount(group.cores).max()) for group in groups if group.soma != "inputs")
    last = max(int(group.cores.max()) for group in groups)
    columns = last // (mesh.rows * mesh.cores_per_tile) + 1
    return architecture(shipped()[MODEL], columns, mesh.rows, mesh.cores_per_tile, units, _inputs(mapping))


def _inputs(mapping: Mapping) -> int:
    return int(np.prod(mapping.graph.shapes[mapping.graph.input]))
