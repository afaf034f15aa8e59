"""The facts of each section of the page, ready to be laid out. Pure functions of ``result.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from spikeport.comparison import wilson
from spikeport.reporting import charts
from spikeport.reporting.charts import Interval
from spikeport.reporting.figures import of_layers
from spikeport.reporting.numbers import percent, plain, short_percent, si, whole
from spikeport.reporting.verdict import is_ann, name_of


@dataclass(frozen=True)
class Axis:
    """Intervals on a common axis, with its ticks as (position in percent, text)."""

    rows: tuple[Interval, ...]
    ticks: tuple[tuple[float, str], ...]


def accuracy(result: Mapping[str, Any]) -> Axis | None:
    """Accuracy by stage with the 95 % interval of each."""
    shares, samples = result.get("accuracy", {}), result.get("samples", {})
    known = {name: value for name, value in shares.items() if samples.get(name)}
    if not known:
        return None
    bounds = {name: wilson(round(value * samples[name]), samples[name]) for name, value in known.items()}
    low, high = charts.linear_place(min(b[0] for b in bounds.values()), max(b[1] for b in bounds.values()))
    scale = 100 / (high - low)
    rows = []
    for name, value in known.items():
        least, most = bounds[name]
        tip = f"{name_of(name)}: {percent(value)} of {whole(samples[name])} samples, 95 % interval "
        tip += f"{percent(least)} to {percent(most)}"
        text = percent(value)
        rows.append(
            Interval(name_of(name), text, (least - low) * scale, (most - least) * scale, (value - low) * scale, tip)
        )
    marks = [mark for mark in charts.ticks(low, high, 4) if low <= mark <= high]
    return Axis(tuple(rows), tuple(((mark - low) * scale, short_percent(mark)) for mark in marks))


@dataclass(frozen=True)
class Heat:
    """Mismatches of one stage: a row a layer, a cell a timestep."""

    stage: str
    entry: Mapping[str, Any]
    rows: tuple[
        tuple[str, tuple[tuple[int, float, str, bool], ...], int], ...
    ]  #: (layer, (count, shade, tip, drill), sum)
    steps: int

    @property
    def name(self) -> str:
        """The stage as people call it."""
        return name_of(self.stage)


def parities(result: Mapping[str, Any], rasters: Mapping[str, Any]) -> list[Heat]:
    """Each comparison of the run, in order."""
    return [_heat(stage, entry, rasters.get(stage, {})) for stage, entry in result.get("parity", {}).items()]


def _heat(stage: str, entry: Mapping[str, Any], rasters: Mapping[str, Any]) -> Heat:
    counts: Mapping[str, Sequence[int]] = entry.get("by_layer", {})
    neurons, samples = entry.get("neurons", {}), entry.get("samples", 1)
    totals = {name: float(neurons.get(name, 1) * samples) for name in counts}
    shades = charts.shades(counts, totals)
    rows = []
    for name, row in counts.items():
        cells = []
        for t, (count, shade) in enumerate(zip(row, shades[name], strict=True)):
            tip = f"{name}, t = {t}: {whole(count)} mismatches, {percent(count / totals[name])} of its neurons"
            cells.append((count, shade, tip, bool(count and name in rasters)))
        rows.append((name, tuple(cells), sum(row)))
    return Heat(stage, entry, tuple(rows), max((len(row) for row in counts.values()), default=0))


@dataclass(frozen=True)
class Curve:
    """One layer's quantity over timesteps: the plot and the table behind it."""

    layer: str
    plot: Markup
    values: tuple[str, ...]


def over_time(layers: Mapping[str, Sequence[float]], what: str, *, from_zero: bool) -> list[Curve]:
    """A small plot a layer; what starts from zero is a share, shown in percent, where a neuron fires once a step."""
    shares = from_zero and all(value <= 1 for values in layers.values() for value in values)
    show, tick = (percent, short_percent) if shares else (plain, plain)
    return [
        Curve(
            name,
            charts.line(values, name=name, what=what, from_zero=from_zero, show=show, tick=tick),
            tuple(map(show, values)),
        )
        for name, values in layers.items()
        if len(values) and all(math.isfinite(value) for value in values)
    ]


def training(epochs: Sequence[Mapping[str, float]]) -> list[Curve]:
    """Loss and accuracies after each epoch, marked at the last that was best on the validation part: it is kept."""
    if not epochs:
        return []
    best = max(range(len(epochs)), key=lambda number: (epochs[number]["val_accuracy"], number))
    curves = []
    for what, title in (("loss", "loss"), ("train_accuracy", "training"), ("val_accuracy", "validation")):
        show, tick = (plain, plain) if what == "loss" else (percent, short_percent)
        values = [float(epoch[what]) for epoch in epochs]
        if all(map(math.isfinite, values)):
            word = "loss" if what == "loss" else "accuracy"
            plot = charts.line(values, name=title, what=word, show=show, tick=tick, over=("epoch ", 1), kept=best)
            curves.append(Curve(title if what == "loss" else f"accuracy, {title}", plot, tuple(map(show, values))))
    return curves


def integers(mantissas: Mapping[str, Mapping[str, Sequence[float | None]]]) -> list[tuple[str, tuple[str, ...]]]:
    """Of each layer the thresholds of its integers, with what they are worth in the units of the layer's input."""

    def text(whole_number: float | None, real: float | None) -> str:
        return "never" if whole_number is None or real is None else f"{plain(whole_number)} = {plain(real)}"

    rows = []
    for name, values in mantissas.items():
        pairs = zip(values["mantissa"], values["threshold"], strict=True)
        rows.append((name, tuple(text(*pair) for pair in pairs)))
    return rows


CONTENTS = {
    "accuracy": "Accuracy",
    "training": "Training",
    "parity": "Where the runs part",
    "spikes": "Spikes",
    "thresholds": "Thresholds",
    "rates": "Firing rates",
    "mantissas": "Weights",
    "energy": "Energy",
    "cores": "On the chip",
    "speed": "Time",
    "graph": "The network",
    "findings": "Findings",
    "provenance": "Provenance",
}  #: sections in their order on the page, as the table of contents calls them


@dataclass(frozen=True)
class Cost:
    """One row of the energy section."""

    bar: Interval
    low: str
    nominal: str
    high: str
    total: (
        str  #: with static energy, host and I/O, and its range; empty where the model has no more than dynamic energy
    )
    kind: str
    source: str


@dataclass(frozen=True)
class Costs:
    """Energy per sample under each model, on one logarithmic axis."""

    rows: tuple[Cost, ...]
    ticks: tuple[tuple[float, str], ...]


def energy(models: Mapping[str, Any]) -> Costs | None:
    """Low, nominal and high of each model; a number without a stated kind is a modelled one."""
    if not models:
        return None
    low, high = charts.log_place([entry[key] for entry in models.values() for key in ("low", "nominal", "high")])

    def place(value: float) -> float:
        return 100 * (math.log10(value) - low) / (high - low) if value > 0 else 0.0

    rows = []
    for name, entry in models.items():
        least, nominal, most = (float(entry[key]) for key in ("low", "nominal", "high"))
        label = str(entry.get("label") or entry.get("title") or name) + (", dynamic" if entry.get("total") else "")
        texts = [si(value, "J") for value in (least, nominal, most)]
        tip = f"{label}: {texts[1]}, between {texts[0]} and {texts[2]}"
        bar = Interval(
            label,
            texts[1],
            place(least),
            place(most) - place(least),
            place(nominal),
            tip,
            "ann" if is_ann(name, entry) else "snn",
        )
        rows.append(
            Cost(
                bar,
                texts[0],
                texts[1],
                texts[2],
                _total(entry) if entry.get("total") else "",
                kind=entry.get("kind", "modelled"),
                source=str(entry.get("source", "")),
            )
        )
    powers = range(round(low), round(high) + 1)
    every = max(1, math.ceil(len(powers) / 6))
    marks = tuple((100 * (power - low) / (high - low), si(10.0**power, "J")) for power in powers[::every])
    return Costs(tuple(rows), marks)


def _total(entry: Mapping[str, Any]) -> str:
    least, nominal, most = (si(float(entry["total"][key]), "J") for key in ("low", "nominal", "high"))
    return f"{nominal} ({least} to {most})"


def costs_said(result: Mapping[str, Any]) -> list[str]:
    """Who wins under each model and where it turns, all lines of a chip, and how long a sample takes, in sentences."""
    said = [str(verdict["sentence"]) for verdict in (result.get("verdicts") or {}).values()]
    for name, entry in result.get("energy_joule_per_sample", {}).items():
        if entry.get("sentence"):
            said.append(str(entry["sentence"]))
        elif static := entry.get("static"):  # a result of 0.1
            least, nominal, most = (si(static[key], "J") for key in ("low", "nominal", "high"))
            said.append(
                f"Static energy under {entry.get('label', name)}, apart from the figures above: {nominal}, "
                f"between {least} and {most} with the step time."
            )
    if result.get("latency"):
        said.append(f"Times on the chip: {result['latency']['sentence']}")
    return [*said, *map(str, result.get("energy_notes", ()))]


@dataclass(frozen=True)
class Mantissas:
    """One synapse's mantissas."""

    layer: str
    plot: Markup
    facts: str


def mantissas(histograms: Mapping[str, Any]) -> list[Mantissas]:
    """A small histogram a synapse."""
    return [
        Mantissas(name, charts.bars(one["counts"], one["edges"], name=name), " · ".join(of_layers(one)))
        for name, one in histograms.items()
    ]


def provenance(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What it takes to run this again."""
    rows = [
        (name, str(result[name]))
        for name in ("model", "dataset", "method", "timesteps", "device", "seed")
        if name in result
    ]
    for group in ("provenance", "versions"):
        rows += [(name, str(value)) for name, value in result.get(group, {}).items()]
    return rows
