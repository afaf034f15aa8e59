"""Events times named cost models: what a sample costs, side by side, with the same-architecture ANN beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from spikeport.costs.counts import Counts, Traffic, counts
from spikeport.costs.deliveries import Delivery
from spikeport.costs.functions import FUNCTIONS, Function, Terms
from spikeport.costs.identities import Identity
from spikeport.costs.model import Model, Range, exactly, find, shipped
from spikeport.costs.terms import Term
from spikeport.costs.whole import Whole, step_of, unpriced, whole
from spikeport.files import plain
from spikeport.findings import fail
from spikeport.graph import Array, Graph
from spikeport.nearest import choose
from spikeport.record import Record

APART = ("static", "host", "total", "step_seconds", "step_from")
ANN = "-ann"  #: what the name of the same-architecture ANN adds to its model's


@dataclass(frozen=True, slots=True)
class Estimate:
    """Energy of one sample under one model, in joule: dynamic, by its events; what else is drawn is in `whole`."""

    model: str
    network: Literal["snn", "ann"]  #: the spiking network, or the same architecture run once as an ANN
    title: str
    low: float
    nominal: float
    high: float
    source: str  #: of every constant that was used
    basis: str  #: silicon-fit, simulated, literature, derived, measured or assumed; all that occur
    breakdown: Mapping[str, Range]  #: joule by kind of event
    layers: Mapping[str, Range]  #: joule by node
    counts: Mapping[str, Range]  #: events by kind
    by_spikes: float = 0.0  #: the part of `nominal` that goes with the firing rate
    whole: Whole | None = None  #: static energy, host and I/O, and the total: never part of `nominal`
    held: str = ""  #: how far the model was from measured chips, in a sentence
    notes: tuple[str, ...] = field(default=())
    incomplete: bool = False  #: whether powers are known and no step time: the last note says so
    kind: Literal["modelled", "measured"] = "modelled"

    @property
    def static(self) -> Range | None:
        """Joule of static power over the time of a sample."""
        return self.whole.static if self.whole else None

    @property
    def host(self) -> Range | None:
        """Joule of host and I/O over the time of a sample."""
        return self.whole.host if self.whole else None

    @property
    def total(self) -> Range | None:
        """Joule of everything that the model knows: dynamic, static, host and I/O."""
        return self.whole.total if self.whole else None

    @property
    def step_seconds(self) -> Range | None:
        """How long a step was taken to last."""
        return self.whole.step.seconds if self.whole else None

    @property
    def step_from(self) -> str | None:
        """Who says so: given, modelled, or stated by the model."""
        return self.whole.step.origin if self.whole else None

    @property
    def sentence(self) -> str | None:
        """Which part dominates, as it is printed; None where there is no total."""
        return f"{self.whole.sentence(self.title, self.nominal)} {self.held}".rstrip() if self.whole else None

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        head = ("model", "network", "low", "nominal", "high", "source", "basis")
        label = {"label": self.title, "kind": self.kind, "unit": "J"}
        tail = ("breakdown", "layers", "counts", "by_spikes", *APART, "sentence", "notes")
        facts = {name: plain(getattr(self, name)) for name in head + tail}
        return {name: facts[name] for name in head} | label | {name: facts[name] for name in tail}


def estimate(
    graph: Graph,
    record: Record,
    models: Sequence[str | Path | Model] | None = None,
    *,
    chips: int = 1,
    step_seconds: float | None = None,
    modelled: Mapping[str, Range] | None = None,
    traffic: Mapping[str, Traffic] | None = None,
    enter: Sequence[Identity] | None = None,
    delivered: Sequence[Delivery] | None = None,
    samples: Array | None = None,
    drain: int = 0,
) -> dict[str, Estimate]:
    """Joule per sample under each model, all shipped ones but those on request where ``models`` is None.

    Where a model can price an ANN, the same architecture run once follows under ``<model>-ann``. ``chips`` and
    ``step_seconds`` set static energy and host (without it ``modelled``, the modelled step by chip), ``traffic`` the
    messages and hops of a mapping; ``enter``, ``delivered``, ``samples`` and ``drain`` are those of `counts`. Raises
    SP701 ... SP703, SP705 for a model that cannot be used, SP704 for a record without events.
    """
    default = [model for model in shipped().values() if not model.on_request]
    chosen = [find(model) for model in (default if models is None else models)]
    counted = counts(graph, record, traffic=traffic, enter=enter, delivered=delivered, samples=samples, drain=drain)
    estimates: dict[str, Estimate] = {}
    for model in chosen:
        function = function_of(model)
        step = step_of(model, step_seconds, modelled or {})
        dynamic = _priced(model, "snn", function.terms, counted)
        total = whole(model, Range(dynamic.low, dynamic.nominal, dynamic.high), counted.timesteps, chips, step)
        said = unpriced(model) if total is None else None
        estimates[model.id] = replace(
            dynamic,
            whole=total,
            held=model.held,
            notes=(*dynamic.notes, *([said] if said else [])),
            incomplete=bool(said),
        )
        if function.ann is not None:
            estimates[model.id + ANN] = _priced(model, "ann", function.ann, counted)
    return estimates


def function_of(model: Model) -> Function:
    """The function that a model names. Raises SP705 if there is none, or if it and the constants do not fit."""
    if model.function not in FUNCTIONS:
        fail(
            "SP705",
            f"there is no function {model.function!r}",
            where=f"cost model {model.id!r}",
            mend=choose(model.function, FUNCTIONS),
        )
    function = FUNCTIONS[model.function]
    missing = sorted(set(function.needs) - set(model.constants))
    extra = sorted(set(model.constants) - set(function.needs) - set(function.allows))
    if missing or extra:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"does not use {', '.join(extra)}"] * bool(extra)
        fail(
            "SP705",
            f"the function {model.function!r} {' and '.join(parts)}",
            where=f"cost model {model.id!r}",
            why="a constant that is not there would count as nothing, one that is not used as everything.",
            mend=f"it reads {', '.join(function.needs)}; it may have {', '.join(function.allows) or 'no others'}",
        )
    return function


def _priced(model: Model, network: Literal["snn", "ann"], terms_of: Terms, counted: Counts) -> Estimate:
    terms = terms_of(counted, model)
    total = _total(term.energy for term in terms)
    constants = model.constants.values()
    return Estimate(
        model=model.id,
        network=network,
        title=model.title if network == "snn" else f"the same ANN, {model.title}",
        low=total.low,
        nominal=total.nominal,
        high=total.high,
        source="; ".join(dict.fromkeys(constant.source for constant in constants)),
        basis=", ".join(dict.fromkeys(constant.basis for constant in constants)),
        breakdown=_grouped(terms, lambda term: term.label, lambda term: term.energy),
        layers=_grouped(terms, lambda term: term.layer, lambda term: term.energy),
        counts=_grouped(terms, lambda term: term.label, lambda term: term.count),
        by_spikes=sum(term.energy.nominal for term in terms if term.by_spikes),
        notes=(" ".join(model.about.split()),),
    )


def _grouped(terms: list[Term], key: Callable[[Term], str], value: Callable[[Term], Range]) -> dict[str, Range]:
    names = dict.fromkeys(key(term) for term in terms)
    return {name: _total(value(term) for term in terms if key(term) == name) for name in names}


def _total(ranges: Any) -> Range:
    total = exactly(0.0)
    for part in ranges:
        total = total + part
    return total
