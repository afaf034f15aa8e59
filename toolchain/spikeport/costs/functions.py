"""The functions of the events that a data file names: which count pays which constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spikeport.costs import memory
from spikeport.costs.counts import Counts, NeuronCounts
from spikeport.costs.model import Model, Range, exactly
from spikeport.costs.terms import Term

Terms = Callable[[Counts, Model], list[Term]]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the events: its terms for the spiking network and, where it has one, for the same ANN."""

    about: str  #: the formula, as the documentation prints it
    needs: tuple[str, ...]  #: constants it reads
    terms: Terms
    ann: Terms | None = None
    allows: tuple[str, ...] = ()  #: constants that may be absent


def _arithmetic(counts: Counts, model: Model) -> list[Term]:
    terms = []
    for name, layer in counts.synapses.items():
        moving = not layer.constant
        terms += [
            Term(name, "accumulates", layer.accumulates, layer.accumulates * model["ac"], moving),
            Term(name, "multiply-adds", layer.macs, layer.macs * model["mac"], moving),
        ]
    return terms + [
        _term(each.layer, "accumulates", each.operations, model["ac"], each.source in counts.neurons)
        for each in counts.identities
    ]


def _ann(counts: Counts, model: Model) -> list[Term]:
    added = [_term(each.layer, "accumulates", each.dense, model["ac"], False) for each in counts.identities]
    return _dense_once(counts, model) + added


def _dense_once(counts: Counts, model: Model) -> list[Term]:
    return [
        Term(name, "multiply-adds", layer.dense, layer.dense * model["mac"], False)
        for name, layer in counts.synapses.items()
    ]


def _dense_steps(counts: Counts, model: Model) -> list[Term]:
    return [
        Term(name, "multiply-adds", layer.steps, layer.steps * model["mac"], False)
        for name, layer in counts.synapses.items()
    ]


def _delivered(counts: Counts, conv: Range, dense: Range) -> list[Term]:
    """What a chip does for each spike at each synapse that it reaches."""
    return [
        Term(
            each.target,
            "synaptic operations",
            each.operations,
            each.operations * (conv if each.spatial else dense),
            each.source in counts.neurons,
        )
        for each in counts.deliveries
    ]


def _bracket(counts: Counts, model: Model) -> list[Term]:
    return _delivered(counts, model["operation"], model["operation"])


def _chip(counts: Counts, model: Model) -> list[Term]:
    terms = _delivered(counts, model["synapse_conv"], model["synapse_dense"])
    for name, layer in counts.neurons.items():
        terms.append(_updates(name, layer, model))
        terms.append(_term(name, "spikes", layer.spikes, model["spike"], True))
    for name, traffic in counts.traffic.items():
        moving = name in counts.neurons
        for label, constant, events in (
            ("messages", "message", traffic.messages),
            ("hop east west", "hop_east_west", traffic.east_west),
            ("hop north south", "hop_north_south", traffic.north_south),
        ):
            if label == "messages" or (constant in model.constants and counts.mapped):
                each = float(events.sum()) / counts.samples
                terms.append(_term(name, label, each, model[constant], moving))
    return terms


def _updates(name: str, layer: NeuronCounts, model: Model) -> Term:
    """A neuron that nothing reaches pays the inactive price; `high` takes the active one for all."""
    active, inactive = model["update_active"], model["update_inactive"]
    paid = active * layer.active + inactive * (layer.updates - layer.active)
    energy = Range(paid.low, paid.nominal, layer.updates * max(active.high, inactive.high))
    return Term(name, "neuron updates", exactly(layer.updates), energy, False)


def _term(name: str, label: str, count: float, constant: Range, moving: bool) -> Term:
    return Term(name, label, exactly(count), exactly(count) * constant, moving)


FUNCTIONS: Mapping[str, Function] = {
    "arithmetic": Function(
        "additions of spikes * ac + multiply-adds of other inputs * mac; the ANN: dense multiply-adds once * mac + "
        "additions of identities * ac",
        ("mac", "ac"),
        _arithmetic,
        _ann,
    ),
    "memory": Function(
        "arithmetic, addressing and memory accesses, each memory as large as what it holds",
        memory.NEEDS,
        memory.spiking,
        memory.conventional,
    ),
    "chip": Function(
        "synaptic operations (one a spike and weight), neuron updates, spikes, messages and hops, each * its constant",
        ("synapse_dense", "synapse_conv", "update_active", "update_inactive", "spike", "message"),
        _chip,
        allows=("hop_east_west", "hop_north_south", "static_power", "host_power", "step_time"),
    ),
    "dense": Function(
        "dense multiply-adds of all steps * mac; the ANN: of one step",
        ("mac",),
        _dense_steps,
        _dense_once,
        allows=("static_power", "host_power", "step_time"),
    ),
    "bracket": Function("synaptic operations * operation", ("operation",), _bracket),
}
