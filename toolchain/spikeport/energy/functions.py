"""The functions of the events that a data file names: which count pays which constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spikeport.energy.counts import Counts, NeuronCounts, SynapseCounts
from spikeport.energy.model import Model, Range, exactly


@dataclass(frozen=True, slots=True)
class Term:
    """Energy that one kind of event of one layer costs, in joule per sample."""

    layer: str
    label: str
    count: Range  #: events per sample
    energy: Range  #: joule per sample
    by_spikes: bool  #: whether the count goes with the firing rate


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the events: its terms for the spiking network and, where it has one, for the same ANN."""

    needs: tuple[str, ...]  #: constants it reads
    terms: Callable[[Counts, Model], list[Term]]
    ann: Callable[[Counts, Model], list[Term]] | None = None
    allows: tuple[str, ...] = field(default=())  #: constants that may be absent


def _arithmetic(counts: Counts, model: Model) -> list[Term]:
    """accumulates * ac + macs * mac, the usual figure of papers (Attention-SNN, Spikformer)."""
    terms = []
    for name, layer in counts.synapses.items():
        terms += [
            Term(name, "accumulates", layer.accumulates, layer.accumulates * model["ac"], True),
            Term(name, "multiply-adds", layer.macs, layer.macs * model["mac"], name not in counts.constant),
        ]
    return terms


def _arithmetic_ann(counts: Counts, model: Model) -> list[Term]:
    return [
        Term(name, "multiply-adds", layer.dense, layer.dense * model["mac"], False)
        for name, layer in counts.synapses.items()
    ]


def _chip(counts: Counts, model: Model) -> list[Term]:
    """Synaptic operations, neuron updates, spikes and messages of a chip that is driven by events.

    A neuron updated while nothing reaches it pays the inactive price; `low` takes that price for all, `high` the
    active one. Without a mapping each spike is one message and no hop is counted.
    """
    terms = []
    for name, synapse in counts.synapses.items():
        terms.append(_operations(name, synapse, counts, model))
    for name, layer in counts.neurons.items():
        terms.append(_updates(name, layer, model))
        terms.append(_term(name, "spikes", layer.spikes, model["spike"]))
        terms.append(_term(name, "messages", layer.spikes, model["message"]))
    return terms


def _operations(name: str, layer: SynapseCounts, counts: Counts, model: Model) -> Term:
    energy = layer.operations * model["synaptic_operation"]
    return Term(name, "synaptic operations", layer.operations, energy, name not in counts.constant)


def _updates(name: str, layer: NeuronCounts, model: Model) -> Term:
    active, inactive = model["update_active"], model["update_inactive"]
    nominal = layer.active * active.nominal + (layer.updates - layer.active) * inactive.nominal
    energy = Range(layer.updates * inactive.low, nominal, layer.updates * active.high)
    return Term(name, "neuron updates", exactly(layer.updates), energy, False)


def _term(name: str, label: str, count: float, constant: Range) -> Term:
    return Term(name, label, exactly(count), exactly(count) * constant, True)


FUNCTIONS: Mapping[str, Function] = {
    "arithmetic": Function(("mac", "ac"), _arithmetic, _arithmetic_ann),
    "chip": Function(
        ("synaptic_operation", "update_active", "update_inactive", "spike", "message"),
        _chip,
        allows=("hop_east_west", "hop_north_south", "static_power", "step_time"),
    ),
}
