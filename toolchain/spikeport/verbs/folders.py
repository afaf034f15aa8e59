"""What a verb left in a folder, in the words of ``result.json`` and with its figures, so that one page shows any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeport.comparison import Divergence, Moment
from spikeport.files import plain
from spikeport.findings import fail
from spikeport.graph import LIF, Graph, Loihi
from spikeport.reading import json_file, line
from spikeport.record import Record
from spikeport.reporting import gather
from spikeport.reporting.facts import Compared, Epochs, Figures, Result, checked
from spikeport.reporting.figures import mantissas
from spikeport.reporting.numbers import percent, whole
from spikeport.reporting.spikes import spikes
from spikeport.training.files import BEST, METRICS, RECIPE
from spikeport.verbs.sides import side

RESULT, COMPARISON, RECORD, FIGURES = "result.json", "comparison.json", "record.npz", "figures.json"
Facts = tuple[dict[str, Any], dict[str, Any]]  #: what ``result.json`` would say, and the figures
#: of a comparison, what ``result.json`` says of a parity
PARITY = (
    "samples",
    "argmax_agreement",
    "spike_mismatches",
    "spikes_compared",
    "mismatches_above_rounding",
    "mismatches_by_rounding",
    "mismatches_following",
    "max_abs_logit_difference",
    "by_layer",
    "neurons",
    "uncompared",
)
MEND = "name a folder that spikeport run, compare --out, simulate --out or train --out wrote"


def contents(place: Path) -> Facts:
    """All that the files of a folder tell; of a whole run its result alone. Raises SP820 where there is nothing."""
    known = {RESULT: _run, COMPARISON: _comparison, RECORD: _record, METRICS: _training}
    readers = [reader for name, reader in known.items() if (place / name).is_file()]
    if not readers:
        nothing = (
            f"holds nothing that a verb wrote ({', '.join(known)})" if place.is_dir() else "there is no such folder"
        )
        fail("SP820", nothing, where=str(place), mend=MEND)
    result: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for reader in readers[:1] if readers[0] is _run else readers:
        facts, drawn = reader(place)
        result, figures = facts | result, drawn | figures
    return checked(Result, result, str(place)), checked(Figures, figures, str(place / FIGURES))


def _run(place: Path) -> Facts:
    result = _read(place / RESULT)
    if not {"accuracy", "parity"} & set(result):
        fail("SP820", "holds neither accuracies nor comparisons", where=str(place / RESULT), mend=MEND)
    return result, _read(place / FIGURES) if (place / FIGURES).exists() else {}


def _comparison(place: Path) -> Facts:
    figures = _read(place / FIGURES) if (place / FIGURES).exists() else {}
    facts = checked(Compared, _read(place / COMPARISON), str(place / COMPARISON))
    return of_comparison(facts) | checked(Figures, figures, str(place / FIGURES)).get("facts", {}), figures


def of_comparison(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison, as its ``as_dict`` says it, in the words of ``result.json``."""
    a, b = facts["a"], facts["b"]
    entry = {"against": b} | {name: facts[name] for name in PARITY if facts.get(name) is not None}
    if facts.get("quantised"):  # files of 0.1 do not say it
        entry["quantised"] = facts["quantised"]
    result: dict[str, Any] = {
        "model": f"{a} against {b}",
        "samples": dict.fromkeys((a, b), facts["samples"]),
        "parity": {a: entry},
        "firing_rate": facts["firing_rate"]["a"],
        "causes": {a: facts["causes"]} if facts.get("causes") else {},
        "first_divergence": {a: _told(facts["first_divergence"], a, b)} if facts.get("first_divergence") else {},
        "findings": facts.get("findings", []),
    }
    if facts.get("accuracy"):
        result["accuracy"] = {facts[key]: share["value"] for key, share in facts["accuracy"].items()}
    return result


def _told(first: Mapping[str, Any], a: str, b: str) -> str:
    moments = {key: None if first.get(key) is None else Moment(**first[key]) for key in ("a", "b")}
    return Divergence(**{**first, **moments, "neuron": tuple(first["neuron"])}).told(a, b)


def _record(place: Path) -> Facts:
    """A run alone: its spikes, and its network's thresholds where the file that it remembers is still the same."""
    known = side(str(place / RECORD))
    record, graph = known.record, known.graph
    assert record is not None
    rates = record.rates()
    result: dict[str, Any] = {
        "model": record.origin.get("model", f"A run on {record.target}"),
        "dataset": record.origin.get("input", ""),
        "sentence": _sentence(record, graph, known.lacks),
        "firing_rate": {name: rate.tolist() for name, rate in rates.items()},
        "samples": {record.target: record.samples},
        "findings": plain(record.findings),
        "provenance": dict(record.origin),
    }
    if record.seconds:
        result["samples_per_second"] = {record.target: round(record.samples / record.seconds, 2)}
    figures: dict[str, Any] = {"spikes": spikes(record)}
    if graph is not None:
        result |= {"timesteps": graph.timesteps, "thresholds": _thresholds(graph)}
        figures |= gather({}, graph=graph, integer=graph)
    return result, figures


def _sentence(record: Record, graph: Graph | None, lacks: str) -> str:
    updates = sum(size * len(record.spike_counts.get(name, ())) for name, size in record.neurons.items())
    fired = sum(int(counts.sum()) for counts in record.spike_counts.values())
    text = f"{whole(record.samples)} samples on {record.target}"
    if updates and record.samples:
        rate = fired / (updates * record.samples)
        several = any(record.several(name) for name in record.neurons)
        text += (
            f": a neuron fires {rate:.3g} times a step"
            if several
            else f": a neuron fires in {percent(rate)} of its steps"
        )
    wrapped = sum(sum(kinds.values()) for kinds in record.overflows.values())
    text += f", and {whole(wrapped)} sums or membranes overflowed." if wrapped else "."
    return text if graph is not None else f"{text} Without thresholds: {lacks}."


def _thresholds(graph: Graph) -> dict[str, list[float]]:
    """Means over neurons, in the units of each layer's input."""
    if isinstance(graph.arithmetic, Loihi):
        real = {name: values["threshold"] for name, values in mantissas(graph).items()}
        return {name: [float("inf") if value is None else value for value in each] for name, each in real.items()}
    layers = graph.nodes_of(LIF).items()
    return {name: node.threshold.reshape(node.timesteps, -1).mean(1).tolist() for name, node in layers}


def _training(place: Path) -> Facts:
    from spikeport.training import checkpoint
    from spikeport.training.recipe import read as read_recipe

    epochs = checked(Epochs, {"epochs": _json(place / METRICS)}, str(place / METRICS))["epochs"]
    recipe = read_recipe(place / RECIPE) if (place / RECIPE).is_file() else None
    best = max(epochs, key=lambda epoch: (epoch["val_accuracy"], epoch["epoch"]), default=None)
    if best is None:
        fail("SP820", "holds no epoch", where=str(place / METRICS), mend="train on: spikeport train --resume")
    right = f"Epoch {best['epoch']} of {len(epochs)} was kept: {percent(best['val_accuracy'])} of the validation part"
    tested = checkpoint.read(place / BEST)[1].get("test_accuracy") if (place / BEST).is_file() else None
    result: dict[str, Any] = {
        "sentence": f"{right} right{'' if tested is None else f', {percent(tested)} of the test part'}.",
        "training": epochs,
        "seconds": {"train": sum(epoch["seconds"] for epoch in epochs)} if all("seconds" in e for e in epochs) else {},
    }
    if recipe is None:
        return {"model": str(place)} | result, {}
    facts = {name: getattr(recipe, name) for name in ("model", "dataset", "method", "timesteps", "seed")}
    return facts | result, {}


def _json(path: Path) -> Any:
    try:
        return json_file(path)
    except (OSError, ValueError) as error:
        fail("SP820", f"is not a result ({line(error)})", where=str(path), mend="write it again")


def _read(path: Path) -> dict[str, Any]:
    value = _json(path)
    if not isinstance(value, dict):
        fail("SP820", "is not a result", where=str(path), mend=MEND)
    return value
