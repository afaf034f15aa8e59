"""Replay: our exact spike trains through SANA-FE's chip, for its energy, messages and timing.

Every neuron of every layer plays its train back, so nothing depends on SANA-FE's neurons: any reset, decay and
threshold. Edges have weight 0, since what they cost does not depend on it. Layers are shifted by their depth, as the
chip's pipeline would; samples follow each other without a gap, and the pipeline is drained at the end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.costs.model import shipped
from spikeport.findings import fail
from spikeport.graph import LIF, Array, Graph, Input, Readout
from spikeport.mapping import Mapping
from spikeport.mapping.latency import depths
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
    depth = depths(mapping.fit)
    steps = record.samples * graph.timesteps + max(depth.values())
    groups = []
    for name, node in graph.nodes_of(Input, LIF, Readout).items():
        if isinstance(node, Readout):
            train = np.zeros((graph.timesteps, record.samples, int(np.prod(node.shape))), dtype=bool)
        else:
            train = _train(graph, name, samples, record)
        played = np.zeros((steps, train.shape[2]), dtype=np.uint8)
        shift = depth.get(name, 0)
        flat = train.transpose(1, 0, 2).reshape(-1, train.shape[2])
        played[shift : shift + len(flat)] = flat
        soma = "inputs" if isinstance(node, Input) else "replays"
        groups.append(Group(name, soma, cores(mapping, name), played))
    silent = tuple(replace(each, weight=np.zeros_like(each.weight)) for each in edges(graph))
    return Plan(chip(mapping, groups), tuple(groups), silent, steps)


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


def _train(graph: Graph, name: str, samples: Array, record: Record) -> Array:
    """[T, B, neurons]: the spikes of a layer, or which values of the input are not zero."""
    node = graph.nodes[name]
    if isinstance(node, LIF):
        if name not in record.trains:
            fail("SP704", f"the record has no spike train of {name!r}", mend="run with Request(trains=True)")
        spikes = record.trains[name].unpack()
    else:
        assert isinstance(node, Input)
        spikes = graph.arithmetic.entering(node, samples) != 0
        spikes = np.broadcast_to(spikes, (graph.timesteps, *spikes.shape[1:]))
    return spikes.reshape(*spikes.shape[:2], -1)
