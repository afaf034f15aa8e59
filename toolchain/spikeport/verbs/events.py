"""``spikeport events``: what every layer did at every timestep, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from spikeport.costs import Delivery, Identity, Traffic, deliveries, derive, identities
from spikeport.files import plain
from spikeport.findings import Finding
from spikeport.graph import LIF, Array, Graph, Loihi, Real, Samples, Synapse
from spikeport.graph.beside import beside_neurons
from spikeport.mapping import Chip, Work, traffic, work
from spikeport.mapping import Mapping as Placement
from spikeport.mapping.fit import fit
from spikeport.mapping.replayed import fitted_step
from spikeport.record import Record, SynapseEvents, join
from spikeport.target import Request, shows, silent
from spikeport.told import Told
from spikeport.verbs.clip import clipped
from spikeport.verbs.load import Model, as_long_as, load_data, load_model
from spikeport.verbs.own_files import bring, needed
from spikeport.verbs.parameters import (
    Batch,
    Clip,
    DataName,
    Device,
    Dt,
    Frames,
    Help,
    Limit,
    ModelLike,
    Nir,
    On,
    Progress,
    SamplesToo,
    Seconds,
    Split,
    TargetName,
    Timesteps,
)
from spikeport.verbs.shards import Given, runs_on

PART = 1024  #: samples whose spike trains are held at once


@dataclass(frozen=True, repr=False)
class Counted(Told):
    """A model, the record of a run that has all events, and the samples of the run."""

    model: Model
    record: Record
    samples: Array
    identities: tuple[Identity, ...]  #: spikes that enter a layer without a synapse
    deliveries: tuple[Delivery, ...]  #: what a chip does for each spike at each synapse
    entered: tuple[Finding, ...] = field(default=(), kw_only=True)  #: what was done to the samples
    mapping: Placement | None = None
    traffic: Mapping[str, Traffic] | None = None  #: by sending layer; None without a chip to map on
    work: Mapping[str, Work] | None = None  #: synaptic operations of each core, by layer
    fitted_step: float | None = None  #: seconds, by times fitted to silicon, of the first sample alone

    def as_dict(self) -> dict[str, Any]:
        """Counts by layer and timestep, summed over samples, and what each layer holds in bytes; for JSON."""
        graph, record = self.model.graph, self.record
        return {
            "model": self.model.name,
            "target": record.target,
            "samples": record.samples,
            "timesteps": graph.timesteps,
            "layers": {name: _layer(graph, name, record) for name in graph.nodes_of(Synapse, LIF)},
            "identities": [
                {
                    "source": each.source,
                    "layer": each.layer,
                    "operations": each.operations.tolist(),
                    "dense": each.dense * record.samples,
                }
                for each in self.identities
            ],
            "traffic": self.traffic_dict(),
        }

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the reader of the model chose and the target had to say, and what is not counted."""
        beside, told = beside_neurons(self.model.graph), (*self.entered, *self.record.findings)
        if not beside:
            return told
        what = f"{len(beside)} nodes hold and update a state beside the neurons, which is not counted"
        mend = "add by hand what its updates cost, or hold it in neurons that have such a state, as CubaLIF"
        note = Finding("SP712", what, f"node {min(beside)!r}", "no cost model says what it takes.", mend, "note")
        return (*told, note)

    def traffic_dict(self) -> dict[str, dict[str, list[int]]] | None:
        """Messages and hops by sending layer and timestep, summed over samples; None without a mapping."""
        if self.traffic is None:
            return None
        return {
            name: {
                "messages": sent.messages.tolist(),
                "hops_east_west": sent.east_west.tolist(),
                "hops_north_south": sent.north_south.tolist(),
            }
            for name, sent in self.traffic.items()
        }


def events(
    model: ModelLike,
    data: DataName = None,
    *,
    samples: SamplesToo = None,
    split: Split = "test",
    target: TargetName = None,
    limit: Limit = None,
    device: Device = "cpu",
    on: On = "here",
    batch: Batch = None,
    seconds: Seconds = None,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    clip: Clip = False,
    chip: Annotated[str | Path | Chip | None, Help("Also messages and hops of a mapping on this chip.")] = None,
    progress: Progress = silent,
) -> Counted:
    """Count, exactly, what every layer does: spikes, synaptic operations, multiply-adds, neuron updates.

    The engine counts while it runs; for any other target the counts are derived from its spike trains. With a chip
    the messages and hops of a mapping on it are counted too, spike by spike. ``clip`` cuts off input beyond what
    integers were made for. ``on`` shares the samples of the run out.

    Raises SP721 for an unknown chip, SP722 for a graph that has no mapping, SP707 unless exactly one of ``data`` and
    ``samples`` (0.1's word for it) is given, and what `execute` raises.

    Examples:

        spikeport events digits-conv --data digits

        spikeport events model.int.nir --data digits.npy --target lava --json
    """
    brought = bring(needed(data, samples), dt, split, limit)
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames, data=brought)
    loaded = as_long_as(loaded, brought, frames and timesteps is None)
    entering = load_data(brought, split, loaded.graph, limit)
    entering = clipped(entering, loaded.graph) if clip else entering
    placement = None if chip is None else Placement(loaded.graph, fit(loaded.graph, chip))
    request = Request(device=device, batch=batch, seconds=seconds, progress=progress)
    counted = count(loaded, entering.given, placement, target, request, on)
    return replace(counted, entered=entering.findings)


def count(
    model: Model, x: Given, mapping: Placement | None, target: str | None, request: Request, on: str = "here"
) -> Counted:
    """Run and count, part by part, so that the spike trains of a long run are never held at once."""
    graph = model.graph
    name = target or ("integer" if isinstance(graph.arithmetic, Loihi) else "reference")
    counts = "events" in shows(name)  # else they are derived from its spike trains
    wanted = replace(request, events=counts, trains=True)
    runs = runs_on(on, model, name, x, wanted, PART)
    parts = [tally(model, record, Samples.of(graph, part).array, mapping) for part, record in runs]
    return _joined(parts, Samples.of(graph, x).array)


def tally(model: Model, record: Record, x: Array, mapping: Placement | None) -> Counted:
    """What a run did, from its record with spike trains, which are left out of the result; ``x`` are its samples."""
    record = derive(model.graph, x, record)
    sent, done, step = None, None, None
    if mapping is not None:
        sent, done = traffic(mapping, record, x), work(mapping, record, x)
        step = fitted_step(mapping, record.first(1), Samples.of(model.graph, x).first(1).array)
    ways, delivered = identities(model.graph, record, x), deliveries(model.graph, record, x)
    return Counted(model, replace(record, trains={}), x, ways, delivered, mapping, sent, done, step)


def _joined(parts: list[Counted], x: Array) -> Counted:
    first, *others = parts
    ways, delivered, sent, done = first.identities, first.deliveries, first.traffic, first.work
    for part in others:
        pairs = zip(ways, part.identities, strict=True)
        ways = tuple(replace(a, operations=a.operations + b.operations) for a, b in pairs)
        delivered = tuple(a + b for a, b in zip(delivered, part.deliveries, strict=True))
        if sent is not None and part.traffic is not None:
            sent = {name: sent[name] + part.traffic[name] for name in sent}
        if done is not None and part.work is not None:
            done = {name: done[name] + part.work[name] for name in done}
    record = join([part.record for part in parts])
    return replace(first, record=record, samples=x, identities=ways, deliveries=delivered, traffic=sent, work=done)


def _layer(graph: Graph, name: str, record: Record) -> dict[str, Any]:
    counts = record.events[name]
    if isinstance(counts, SynapseEvents):
        return {"kind": "synapse", **plain(counts), **_macs(counts), "weight_bytes": weight_bytes(graph, name)}
    return {"kind": "neurons", **plain(counts), "state_bytes": state_bytes(graph, name)}


def _macs(counts: SynapseEvents) -> dict[str, int]:
    """Multiply-adds of an analog layer: where its constant sums are cached, and where each step computes them anew."""
    if not (counts.analog or (counts.constant and counts.graded.any())):
        return {"macs_cached": 0, "macs_every_step": 0}
    every = int(counts.dense.sum())
    return {"macs_cached": every // len(counts.dense) if counts.constant else every, "macs_every_step": every}


def weight_bytes(graph: Graph, name: str) -> int:
    """Bytes of a synapse's weights: mantissas of the profile's bits in Loihi arithmetic, else as they are stored."""
    node = graph.nodes[name]
    assert isinstance(node, Synapse)
    if isinstance(graph.arithmetic, Loihi):
        return -(-int(node.weight.size) * graph.arithmetic.profile.weight_bits // 8)
    return int(node.weight.nbytes)


def state_bytes(graph: Graph, name: str) -> int:
    """Bytes of a neuron layer's membranes: the profile's state bits in Loihi arithmetic, else a float each."""
    node = graph.nodes[name]
    assert isinstance(node, LIF)
    if isinstance(graph.arithmetic, Loihi):
        return -(-node.size * graph.arithmetic.profile.state_bits // 8)
    return node.size * (4 if graph.arithmetic == Real("float32") else 8)
