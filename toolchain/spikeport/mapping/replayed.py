"""A run as a pipelined chip plays it, step by step, and how long it takes by times that were fitted to silicon.

Layers are shifted by their depth, samples follow each other without a gap, and the pipeline is drained at the end. A
step lasts as long as the core that sends longest, or the one that receives longest, and the barrier:

    sending   = neurons * update + spikes * spike + messages out * message_out
    receiving = messages in * message_in + operations * synapse_dense or synapse_conv
    step      = max(sending of all cores, receiving of all cores) + barrier of so many tiles

This is SANA-FE's simple timing model, told by its results: time on the mesh is not in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.graph import LIF, Array, Conv, Input, Readout
from spikeport.mapping.latency import depths
from spikeport.mapping.layers import Projection
from spikeport.mapping.placement import Mapping
from spikeport.mapping.traffic import operations
from spikeport.record import Record

Trains = dict[str, NDArray[np.uint8]]  #: of the input, each layer and the readout (which is silent): [steps, neurons]
ENTERING = 1024  #: values of the input that one core sends, as many as a core of Loihi 1 has neurons
BARRIER = "barrier_"  #: names of barriers end with the least number of tiles that they hold for


def played(mapping: Mapping, record: Record, samples: Array) -> Trains:
    """What everything sends at each step of a chip. Raises SP704 where a spike train is missing."""
    graph, late = mapping.graph, depths(mapping.fit)
    steps = record.samples * graph.timesteps + max(late.values())
    trains = {}
    for name in graph.nodes_of(Input, LIF, Readout):
        sent = _sent(mapping, name, record, samples).transpose(1, 0, 2)  # one sample after the other
        flat = sent.reshape(-1, sent.shape[2])
        trains[name] = np.zeros((steps, flat.shape[1]), dtype=np.uint8)
        trains[name][late.get(name, 0) :][: len(flat)] = flat
    return trains


def _sent(mapping: Mapping, name: str, record: Record, samples: Array) -> NDArray[np.bool_]:
    """[T, B, neurons]: the spikes of a layer, or which values of the input are not zero."""
    graph = mapping.graph
    node = graph.nodes[name]
    if isinstance(node, Readout):
        return np.zeros((graph.timesteps, record.samples, int(np.prod(node.shape))), dtype=bool)
    if isinstance(node, LIF):
        if name not in record.trains:
            fail("SP704", f"the record has no spike train of {name!r}", mend="run with Request(trains=True)")
        spikes = record.trains[name].unpack()
    else:
        assert isinstance(node, Input)
        spikes = graph.arithmetic.entering(node, samples) != 0
        spikes = np.broadcast_to(spikes, (graph.timesteps, *spikes.shape[1:]))
    return spikes.reshape(*spikes.shape[:2], -1)


def seconds(mapping: Mapping, trains: Trains) -> float | None:
    """Of a whole run, by the chip's fitted times; None for a chip that has none."""
    times = {name: constant.si.nominal for name, constant in mapping.chip.fitted.items()}
    if not times:
        return None
    steps = len(next(iter(trains.values())))
    longest = np.zeros(steps)
    for name, train in trains.items():
        longest = np.maximum(longest, _sending(mapping, name, train, times))
    for name in mapping.fit.layers:
        longest = np.maximum(longest, _receiving(mapping, name, trains, times))
    return float(longest.sum()) + steps * _barrier(mapping, times)


def fitted_step(mapping: Mapping, record: Record, samples: Array) -> float | None:
    """Mean of a step in seconds, filling and draining the pipeline included; None for a chip without fitted times."""
    if not mapping.chip.fitted:
        return None
    trains = played(mapping, record, samples)
    whole = seconds(mapping, trains)
    return None if whole is None else whole / len(next(iter(trains.values())))


def _sending(mapping: Mapping, name: str, train: NDArray[np.uint8], times: dict[str, float]) -> NDArray[np.float64]:
    """[steps]: seconds of the core of a layer that works and sends longest. An input has no neurons to update."""
    messages = np.zeros(train.shape[1])
    for target, layer in mapping.fit.layers.items():
        if any(name in projection.senders for projection in layer.layer.projections):
            messages += mapping.destinations(name, target).reshape(train.shape[1], -1).sum(1)
    own = name in mapping.fit.layers
    each = messages * times["message_out"] + times["spike"] * own
    cores = mapping.core_of(name).ravel() if own else np.arange(train.shape[1]) // ENTERING
    busiest = np.zeros(len(train))
    for core in np.unique(cores):
        here = cores == core
        busiest = np.maximum(busiest, train[:, here] @ each[here] + here.sum() * times["update"] * own)
    return busiest


def _receiving(mapping: Mapping, target: str, trains: Trains, times: dict[str, float]) -> NDArray[np.float64]:
    """[steps]: seconds of the core of a layer that receives longest."""
    layer = mapping.fit.layers[target]
    busy: NDArray[np.float64] = np.zeros((len(trains[target]), layer.tile.cores))
    for name in dict.fromkeys(sender for each in layer.layer.projections for sender in each.senders):
        reached = mapping.destinations(name, target).reshape(trains[name].shape[1], -1)
        busy += (trains[name].astype(np.float64) @ reached) * times["message_in"]
    for projection in layer.layer.projections:
        for name in projection.senders:
            sent = trains[name].reshape(-1, *mapping.graph.shapes[name]).astype(np.int64)
            done = operations(projection, sent, layer.layer, layer.tile.shape)
            busy += done * times["synapse_conv" if _spatial(mapping, projection, name) else "synapse_dense"]
    return np.asarray(busy.max(1))


def _spatial(mapping: Mapping, projection: Projection, sender: str) -> bool:
    if projection.synapse is None:
        return len(mapping.graph.shapes[sender]) > 1
    return isinstance(mapping.graph.nodes[projection.synapse], Conv)


def _barrier(mapping: Mapping, times: dict[str, float]) -> float:
    """Of as many tiles as hold neurons, by the largest published number that is not larger."""
    cores = np.arange(mapping.fit.cores)
    tiles = len(set(zip(*(each.tolist() for each in mapping.position(cores)), strict=True)))
    published = sorted((int(name.removeprefix(BARRIER)), at) for name, at in times.items() if name.startswith(BARRIER))
    return [at for least, at in published if least <= tiles][-1]
