"""What stands on one side of a comparison: a model that is run, or a record of a run, with its model where known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from spikeport.comparison import Side as Network
from spikeport.files import sha256
from spikeport.findings import fail
from spikeport.graph import LIF, Array, Graph
from spikeport.nearest import choose
from spikeport.passes.extend import extend
from spikeport.record import Record
from spikeport.target import Request, shows
from spikeport.training.shipped import models
from spikeport.verbs.clip import clipped
from spikeport.verbs.execute import execute, target_names
from spikeport.verbs.load import Model, as_long_as, dt_was_for, load_data, load_model
from spikeport.verbs.origin import samples_hash
from spikeport.verbs.own_data import Brought
from spikeport.verbs.own_files import OBSERVED, bring
from spikeport.verbs.shards import Given, execute_on

NIR_DATA = "nir"  #: what a record that was read from NIRData calls its target

Named = str | Path | Graph | Model | Record | Any  #: or a module, as `load_model` takes it


@dataclass(frozen=True)
class Side:
    """One of the two, as it was named."""

    name: str
    model: Model | None
    target: str | None = None  #: behind the @
    device: str | None = None  #: behind the target: model@integer,device=cuda
    record: Record | None = None
    lacks: str = ""  #: why the model of a record is not known

    @property
    def graph(self) -> Graph | None:
        """The network, where it is known."""
        return None if self.model is None else self.model.graph

    def as_long_as(self, samples: Brought | Path | str) -> Side:
        """Its model for as many steps as the samples have frames, where it leaves their number open."""
        return self if self.model is None else replace(self, model=as_long_as(self.model, samples, True))

    def run(self, x: Given, request: Request, on: str) -> Record:
        """The record, or the model run on those machines."""
        if self.record is not None:
            return self.record
        assert self.model is not None
        return execute_on(on, self.model, self.target, x, replace(request, device=self.device or request.device))

    @property
    def network(self) -> Network | None:
        """The graph and what runs it: its target, or our engine where that shows no membranes."""
        if self.model is None:
            return None
        model, target, device = self.model, self.target or self.model.target, self.device or "cpu"
        if self.record is not None or "membranes" not in shows(target):
            from spikeport.engine import simulate

            return Network(model.graph, simulate)

        def run(graph: Graph, x: Array, wishes: Request) -> Record:
            return execute(replace(model, graph=graph), target, x, replace(wishes, device=device))

        return Network(model.graph, run)


class Reading(TypedDict, total=False):
    """What `load_model` is told of a file, and of the samples that a module takes."""

    dt: float | None
    nir: Mapping[str, str] | None
    timesteps: int | None
    frames: bool
    data: Any


def side(named: Named, model: Named | None = None, **reading: Unpack[Reading]) -> Side:
    """What a user named; ``model`` is that of a record.

    Raises SP501 for an unknown target, SP525 for what else stands behind one, and what loading raises.
    """
    if isinstance(named, Record):
        return _of_record(f"record of {named.target}", named, model, reading)
    if not isinstance(named, str | Path):
        loaded = load_model(named, **reading)
        return Side(loaded.name, loaded)
    name, target, device = str(named), None, None
    head, at, tail = name.rpartition("@")
    if at and not Path(name).exists():
        tail, comma, option = tail.partition(",")
        if tail not in target_names():
            fail("SP501", f"there is no target {tail!r}", where=name, mend=choose(tail, target_names()))
        if comma and not option.startswith("device="):
            fail("SP525", f"{option!r} says nothing of a side", where=name, mend="write model@integer,device=cuda")
        name, target, device = head, tail, option.removeprefix("device=") or None
    if _observed(Path(name)):
        return _of_record(name, Record.load(name, reading.get("dt")), model, reading)
    if Path(name).suffix == ".npz":
        return _of_record(str(named), Record.load(name), model, reading)
    return Side(str(named), load_model(name, **reading), target, device)


def _observed(path: Path) -> bool:
    """Whether a file is NIRData, and no model."""
    ending = path.suffix.lower()
    if ending != ".nir" or not path.is_file():
        return ending in OBSERVED and ending != ".nir"
    from spikeport.formats.nir import data

    return data.is_data(path)


def in_layers(sides: tuple[Side, Side]) -> tuple[Side, Side]:
    """Both, the NIRData among them with the names and shapes of the layers that the other side, or its model, has."""
    left, right = sides
    return _in_layers(left, right), _in_layers(right, left)


def _in_layers(one: Side, other: Side) -> Side:
    if one.model is not None and other.record is not None:
        one = replace(one, model=dt_was_for(other.record, one.model))
    if one.record is None or one.record.target != NIR_DATA:
        return one
    from spikeport.formats.nir.record_data import with_layers

    graph = other.graph if one.graph is None else one.graph
    if graph is not None:
        layers = {name: node.shape for name, node in graph.nodes_of(LIF).items()}
    else:
        assert other.record is not None
        layers = {name: train.shape[2:] for name, train in other.record.trains.items()}
    return replace(one, record=with_layers(one.record, layers))


def _of_record(name: str, record: Record, model: Named | None, reading: Reading) -> Side:
    """A record with the model that the user gives, or with the file it says it is of, if that is still the same."""
    if model is not None:
        assert not isinstance(model, Record)
        return Side(name, _for_steps_of(record, load_model(model, **reading)), record=record)
    known = record.origin.get("model", "")
    if not known:
        return Side(name, None, record=record, lacks="the record does not say of which model it is")
    if known not in models():
        if not Path(known).is_file():
            return Side(name, None, record=record, lacks=f"its model {known} is not here")
        if sha256(Path(known)) != record.origin.get("model_sha256"):
            return Side(name, None, record=record, lacks=f"its model {known} is another file by now")
    return Side(name, _for_steps_of(record, load_model(known, **reading)), record=record)


def _for_steps_of(record: Record, model: Model) -> Model:
    """The model for as many steps as the record has, where it leaves their number open."""
    steps = next((len(counts) for counts in record.spike_counts.values()), model.graph.timesteps)
    return model if model.graph.after_end == "error" else replace(model, graph=extend(model.graph, steps))


def remembered(sides: tuple[Side, Side]) -> Given | None:
    """The samples that a record says it ran, where that file still holds them; None otherwise."""
    for each in sides:
        if each.record is not None and Path(path := each.record.origin.get("input", "")).is_file():
            known = each.record.origin.get("input_dt")
            brought = bring(path, None if known is None else float(known))
            for samples in _as_they_ran(brought, each.graph):
                if samples_hash(samples) == each.record.origin["samples_sha256"]:
                    return samples
    return None


def _as_they_ran(brought: Any, graph: Graph | None) -> Iterator[Given]:
    """What may have run: the samples of the file, or those that `clipped` leaves of them."""
    if graph is None:
        yield brought.x
        return
    data = load_data(brought, "test", graph)
    yield data.given
    yield clipped(data, graph).given


def same_samples(each: Side, x: Given) -> None:
    """Raise SP815 if a record says that it ran other samples than ``x``."""
    ran = "" if each.record is None else each.record.origin.get("samples_sha256", "")
    if ran and ran != samples_hash(x):
        fail(
            "SP815",
            "ran other samples than these",
            where=each.name,
            why="margins and causes would be those of another input.",
            mend="name the data, the split and the limit of the recorded run",
        )
