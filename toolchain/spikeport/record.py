"""The Record: what a run *did*. The same schema from every target; everything after a run reads only this."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from spikeport.files import plain, write_bytes
from spikeport.findings import Finding, fail, require
from spikeport.graph.arrays import Array
from spikeport.graph.samples import running
from spikeport.spike_train import Counts, Train
from spikeport.told import Told

if TYPE_CHECKING:
    from spikeport.graph import Graph
    from spikeport.reporting.plots import Picture


@dataclass(frozen=True)
class SynapseEvents:
    """What one synapse did, summed over samples; every field [T] int64.

    Counted at the synapse's input, after residual sums and pools: a value is one event, whatever its size. A neuron
    that fires three times in a step sends the value 3: one of `inputs`, `synops`, `fanout` and `graded`, 3 of
    `payload`, three times its weights in `unary`.
    """

    inputs: Counts  #: inputs that are not zero
    payload: Counts  #: sum of |input|; 0 where the input is analog
    synops: Counts  #: non-zero inputs times the non-zero weights they reach
    fanout: Counts  #: non-zero inputs times all the weights they reach
    graded: Counts  #: the part of `fanout` whose input is not of size one, so that it takes a multiplication
    unary: Counts  #: |input| times all the weights it reaches, as where a message is one spike; 0 where analog
    dense: Counts  #: multiply-adds of a dense execution, padding excluded
    analog: bool  #: whether the input is analog (real numbers that are not whole)
    constant: bool  #: whether the input is the same at every step, so that its sums can be cached

    def with_analog(self, analog: bool) -> Self:
        """The events of several steps or samples together: input that is analog in one of them has no size in any."""
        sizes: dict[str, Any] = {name: np.zeros_like(self.payload) for name in ("payload", "unary")} if analog else {}
        return replace(self, analog=analog, **sizes)


@dataclass(frozen=True)
class NeuronEvents:
    """What one neuron layer did, summed over samples; every field [T] int64."""

    spikes: Counts  #: a neuron that fires three times in a step counts three times
    updates: Counts  #: neurons updated: all of them
    active: Counts  #: neurons that got an input, hold a state or have a bias


Events = SynapseEvents | NeuronEvents


@dataclass(frozen=True, repr=False)
class Record(Told):
    """What a run of `samples` samples did."""

    target: str
    outputs: Array  #: [B, *output]: the readout, or the spike count of each output neuron; of the first output node
    neurons: Mapping[str, int]  #: size of each spiking layer, in the order of the graph
    spike_counts: Mapping[str, Counts]  #: spikes of each layer at each step, summed over samples and neurons
    trains: Mapping[str, Train] = field(default_factory=dict)
    membranes: Mapping[str, Array] = field(default_factory=dict)  #: [T, B, *neurons], after the reset
    events: Mapping[str, Events] = field(default_factory=dict)  #: synapses and neuron layers, by node name
    overflows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: node -> kind -> how often
    seconds: float = 0.0  #: wall-clock time of the run, loading and set-up excluded
    findings: tuple[Finding, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)  #: files of model and input, and their hashes, where known
    further: Mapping[str, Array] = field(default_factory=dict)  #: of a graph of several outputs the others, by node
    lengths: Array | None = None  #: int64 [B], the steps of each sample where not all have T: read out at its last one

    @property
    def samples(self) -> int:
        """How many samples were run."""
        return int(self.outputs.shape[0])

    def output_of(self, name: str) -> Array:
        """What an output node of a name came to; a node that is none of `further` is the first."""
        return self.further.get(name, self.outputs)

    def form(self) -> dict[str, tuple[object, ...]]:
        """What parts of one run have in common, whatever their samples: the steps and neurons of all that is kept."""
        kept = {f"output/{name}": value[None] for name, value in [("", self.outputs), *self.further.items()]}
        kept |= {f"membrane/{name}": value for name, value in self.membranes.items()}
        forms = {name: (len(value), *value.shape[2:]) for name, value in kept.items()}
        forms |= {f"spikes/{name}": (train.shape[0], *train.shape[2:]) for name, train in self.trains.items()}
        forms |= {f"counts/{name}": (len(value), self.neurons[name]) for name, value in self.spike_counts.items()}
        return forms | {
            f"events/{name}": (type(each), *map(np.shape, vars(each).values())) for name, each in self.events.items()
        }

    def rates(self) -> dict[str, NDArray[np.float64]]:
        """Spikes a neuron, a layer and timestep: the share that fires, between 0 and 1, where that is once a step.

        Of samples of unequal length those that have the step.
        """
        return {
            name: counts / (self._running(len(counts)) * self.neurons[name])
            for name, counts in self.spike_counts.items()
        }

    def _running(self, steps: int) -> Array:
        """How many samples have each step, [T]; 1 where none has it, for then nothing fires."""
        if self.lengths is None:
            return np.full(steps, self.samples)
        return np.asarray(np.maximum(running(self.lengths, steps).sum(1), 1))

    def several(self, layer: str) -> bool:
        """Whether a neuron of the layer is known to have fired several times in a step."""
        train, counts = self.trains.get(layer), self.spike_counts.get(layer)
        often = counts is not None and bool((counts > self.samples * self.neurons[layer]).any())
        return often or (train is not None and train.several)

    def accuracy(self, labels: Array) -> float:
        """Share of samples whose largest output is the label's (first one on ties), between 0 and 1."""
        return float(np.mean(self.outputs.reshape(self.samples, -1).argmax(1) == labels))

    def plot(
        self,
        against: Record | None = None,
        *,
        graph: Graph | None = None,
        against_graph: Graph | None = None,
        sample: int | None = None,
        layers: Sequence[str] = (),
    ) -> Picture:
        """Spikes over time a layer, rates and membranes: a picture with a `save`; see `spikeport.reporting.plots`."""
        from spikeport.reporting.plots import plot

        names = (self.target, "the other" if against is None or against.target == self.target else against.target)
        return plot(self, against, graph=graph, graph_b=against_graph, sample=sample, layers=layers, names=names)

    def first(self, count: int) -> Self:
        """The record of the first ``count`` samples. Events belong to all samples and are left out.

        Spike counts are counted again from the trains; layers without a train have none.
        """
        if count >= self.samples:
            return self
        trains = {name: train.cut(0, count) for name, train in self.trains.items()}
        counts = {name: train.counts() for name, train in trains.items()}
        membranes = {name: value[:, :count] for name, value in self.membranes.items()}
        further = {name: value[:count] for name, value in self.further.items()}
        kept: dict[str, Any] = {"trains": trains, "spike_counts": counts, "membranes": membranes, "further": further}
        kept["lengths"] = None if self.lengths is None else self.lengths[:count]
        return replace(self, outputs=self.outputs[:count], events={}, **kept)

    def save(self, path: Path | str, dt: float = 1e-4) -> None:
        """Write ``record.npz``: ``output``, ``output/<node>``, ``spikes/<node>``, ``membrane/<node>``, ``meta`` (JSON).

        ``lengths`` stands there where samples have unequal ones.
        A path that ends in .nir gets NIRData instead, for other tools: spikes and voltages of each layer, in steps of
        ``dt`` seconds, and nothing else.
        """
        if str(path).lower().endswith(".nir"):
            from spikeport.formats.nir import record_data

            record_data.save(self, Path(path), dt)
            return
        arrays: dict[str, Array] = {"output": self.outputs}
        arrays |= {} if self.lengths is None else {"lengths": self.lengths}
        arrays |= {f"output/{name}": value for name, value in self.further.items()}
        arrays |= {f"spikes/{name}": train.unpack() for name, train in self.trains.items()}
        arrays |= {f"membrane/{name}": value for name, value in self.membranes.items()}
        meta = {
            "target": self.target,
            "neurons": dict(self.neurons),
            "spike_counts": plain(self.spike_counts),
            "events": plain(self.events),
            "overflows": {name: dict(kinds) for name, kinds in self.overflows.items()},
            "seconds": self.seconds,
            "origin": dict(self.origin),
            "findings": plain(self.findings),
        }
        data = io.BytesIO()
        np.savez_compressed(data, allow_pickle=False, meta=np.asarray(json.dumps(meta)), **arrays)
        write_bytes(path, data.getbuffer())

    @classmethod
    def load(cls, path: Path | str, dt: float | None = None) -> Self:
        """Read what `save` wrote, or the spikes and voltages of another tool's NIRData (.nir, .h5).

        NIRData's events are added up in steps of ``dt`` seconds, which they need (SP226).

        Raises SP120 for anything else, SP202 for a .nir file that holds no NIRData.
        """
        path = Path(path)
        if path.suffix.lower() in (".nir", ".h5", ".hdf5"):
            from spikeport.formats.nir import record_data

            return cls(**record_data.load(path, dt))
        try:
            from spikeport import record_file

            return cls._from(*record_file.read(path))
        except FileNotFoundError:
            fail("SP120", "there is no such file", where=str(path), mend="check the path")
        except (OSError, KeyError, ValueError, TypeError) as error:
            fail("SP120", f"is not a Record ({error})", where=str(path), mend="write it with spikeport simulate")

    @classmethod
    def _from(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        def under(prefix: str) -> dict[str, Array]:
            return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}

        return cls(
            target=meta["target"],
            outputs=arrays["output"],
            neurons=meta["neurons"],
            spike_counts={n: np.asarray(v, dtype=np.int64) for n, v in meta["spike_counts"].items()},
            trains={name: Train.pack(value) for name, value in under("spikes/").items()},
            membranes=under("membrane/"),
            events={name: _events_from(value) for name, value in meta["events"].items()},
            overflows=meta["overflows"],
            seconds=meta["seconds"],
            origin=meta.get("origin", {}),
            further=under("output/"),
            lengths=arrays.get("lengths"),
            findings=tuple(Finding(**facts) for facts in meta["findings"]),
        )


def join(records: Sequence[Record]) -> Record:
    """One record of several runs of the same graph, in order: samples are appended, counts and seconds added.

    Raises SP121 for none, SP976 where they are of different graphs.
    """
    require(len(records) > 0, "SP121", "there is no record to join", mend="run at least one sample")
    first = records[0]
    form = first.form()
    alike = all(record.form() == form for record in records[1:])
    require(alike, "SP976", "the records are of different runs", mend="run one of them again")
    if len(records) == 1:
        return first

    def stacked(pick: str, name: str) -> Array:
        return np.concatenate([getattr(record, pick)[name] for record in records], axis=1)

    def train(name: str) -> Train:
        parts = [record.trains[name] for record in records]
        if any(part.several for part in parts):
            return Train.pack(np.concatenate([part.unpack() for part in parts], axis=1))
        bits = np.concatenate([part.bits for part in parts], axis=1)
        return Train((parts[0].shape[0], sum(part.shape[1] for part in parts), *parts[0].shape[2:]), bits)

    kinds = {(node, kind) for record in records for node in record.overflows for kind in record.overflows[node]}
    overflows: dict[str, dict[str, int]] = {}
    for node, kind in sorted(kinds):
        count = sum(record.overflows.get(node, {}).get(kind, 0) for record in records)
        overflows.setdefault(node, {})[kind] = count
    return replace(
        first,
        outputs=np.concatenate([record.outputs for record in records]),
        further={name: np.concatenate([record.further[name] for record in records]) for name in first.further},
        lengths=_lengths(records),
        spike_counts={n: np.sum([r.spike_counts[n] for r in records], axis=0) for n in first.spike_counts},
        trains={name: train(name) for name in first.trains},
        membranes={name: stacked("membranes", name) for name in first.membranes},
        events={name: _added([record.events[name] for record in records]) for name in first.events},
        overflows=overflows,
        seconds=sum(record.seconds for record in records),
        findings=tuple(dict.fromkeys(finding for record in records for finding in record.findings)),
    )


def _lengths(records: Sequence[Record]) -> Array | None:
    """Those of all samples; None where all have the same number of steps."""
    if all(record.lengths is None for record in records):
        return None
    steps = max(len(counts) for record in records for counts in record.spike_counts.values())
    return np.concatenate([np.full(r.samples, steps) if r.lengths is None else r.lengths for r in records])


def _added(parts: Sequence[Events]) -> Events:
    first = parts[0]
    totals: dict[str, Any] = {
        item.name: np.sum([getattr(part, item.name) for part in parts], axis=0)
        for item in fields(first)
        if isinstance(getattr(first, item.name), np.ndarray)
    }
    whole, analog = replace(first, **totals), any(getattr(part, "analog", False) for part in parts)
    return whole.with_analog(analog) if isinstance(whole, SynapseEvents) else whole


def _events_from(facts: Mapping[str, Any]) -> Events:
    kind = SynapseEvents if "synops" in facts else NeuronEvents
    values: dict[str, Any] = {n: np.asarray(v, dtype=np.int64) if isinstance(v, list) else v for n, v in facts.items()}
    return kind(**values)
