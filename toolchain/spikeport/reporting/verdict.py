"""The verdict: one sentence that says whether the deployed network is still the trained one, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spikeport.comparison import lost, parted
from spikeport.reporting.numbers import percent, whole

Mood = Literal["same", "close", "apart", "told"]  #: told: nothing was compared, so nothing is judged
BEST_FIRST: tuple[Mood, ...] = ("same", "close", "apart")
NAMES = {
    "pytorch": "PyTorch",
    "graph": "captured graph",
    "graph_float64": "captured graph in float64",
    "pytorch in float64": "PyTorch in float64",
    "nir": "NIR, read back",
    "onnx": "ONNX",
    "integer": "integer engine",
    "lava": "Lava",
}
POINTS = 0.005  #: accuracy lost, above which a network counts as another one: half a point, the project's own goal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to think of a run."""

    mood: Mood
    sentence: str
    details: tuple[str, ...]


def name_of(stage: str) -> str:
    """A stage as people call it."""
    return NAMES.get(stage, stage)


def base_of(accuracy: Mapping[str, float]) -> str:
    """The stage that a network's integers are held against: PyTorch, or the graph where there is no module."""
    return "pytorch" if "pytorch" in accuracy else "graph"


def mood_of(stage: str, entry: Mapping[str, Any], accuracy: Mapping[str, float]) -> Mood:
    """The one rule by which every comparison gets its colour.

    1. ``close`` (amber) where it cannot be judged in full: no spikes, or not those of all layers.
    2. Quantising moves spikes, so a run in integers beside one in real numbers is judged by accuracy: ``same`` (green)
       where it loses at most `POINTS`, else ``apart`` (red); ``close`` where no labels are known.
    3. All else is ``same`` where nothing differs beyond rounding, else ``apart``.
    """
    if not entry.get("spikes_compared") or entry.get("uncompared"):
        return "close"
    if quantised := "integer" if stage == "integer" else entry.get("quantised"):
        real = base_of(accuracy) if stage == "integer" else entry["against"] if quantised == stage else stage
        if not {real, quantised} <= set(accuracy):
            return "close"
        return "same" if lost(accuracy[real], accuracy[quantised]) <= POINTS else "apart"
    return "apart" if entry.get("mismatches_above_rounding", entry.get("spike_mismatches", 0)) else "same"


def verdict(result: Mapping[str, Any]) -> Verdict:
    """Judge a run by its ``result.json``: as the worst of its comparisons by `mood_of`."""
    accuracy, parities = result.get("accuracy", {}), result.get("parity", {})
    if "sentence" in result:
        return Verdict("told", str(result["sentence"]), ())
    details = [_stage(stage, entry) for stage, entry in parities.items()]
    moods = {stage: mood_of(stage, entry, accuracy) for stage, entry in parities.items()}
    if cost := energy_verdict(result.get("energy_joule_per_sample", {})):
        details.append(cost)
    if not {"integer", "nir", "onnx", "lava"} & (set(accuracy) | set(parities)):
        return Verdict(*_of_comparison(parities, moods, result.get("causes", {}), accuracy), tuple(details))
    broken = [stage for stage, mood in moods.items() if mood == "apart" and stage != "integer"]
    if broken:
        names = " and ".join(f"{name_of(stage)}{_oracle(parities[stage])}" for stage in broken)
        return Verdict("apart", f"Not the same network: {names} parts from its reference.", tuple(details))
    told = "; ".join(_witnesses(parities, result.get("samples", {})))
    base = base_of(accuracy)
    drop = lost(accuracy[base], accuracy["integer"]) if {base, "integer"} <= set(accuracy) else 0.0
    if drop > POINTS:
        against = "PyTorch" if base == "pytorch" else "the network in real numbers"
        sentence = f"The integer network loses {100 * drop:.2f} points of accuracy against {against}"
        return Verdict("apart", f"{sentence}{told and f'; {told}'}.", tuple(details))
    if "integer" in parities and not accuracy:
        same = percent(parities["integer"].get("argmax_agreement", 0.0))
        sentence = f"Every file is still the network, and its integers give the same answer on {same} of the samples"
        labels = "Labels would say whether they are as often right."
        return Verdict("close", f"{sentence}{told and f'; {told}'}. {labels}", tuple(details))
    if "close" in moods.values():
        names = " and ".join(name_of(stage) for stage, mood in moods.items() if mood == "close")
        return Verdict("close", f"Nothing parts, but {names} cannot be judged in full.", tuple(details))
    return Verdict(*_good(accuracy, told), tuple(details))


def _of_comparison(
    parities: Mapping[str, Any], moods: Mapping[str, Mood], causes: Mapping[str, Any], accuracy: Mapping[str, float]
) -> tuple[Mood, str]:
    """Two runs side by side, which need not be stages of one job."""
    apart = sum(entry.get("spike_mismatches", 0) for entry in parities.values())
    compared = sum(entry.get("spikes_compared", 0) for entry in parities.values())
    mood: Mood = max(moods.values(), key=BEST_FIRST.index, default="close")
    if not compared:
        return mood, "No spikes were compared."
    if not apart:
        rest = sorted({layer for entry in parities.values() for layer in entry.get("uncompared", ())})
        return mood, f"Every spike agrees; not compared: {', '.join(rest)}." if rest else "Every spike agrees."
    if all(entry.get("mismatches_above_rounding", 1) == 0 for entry in parities.values()):
        return mood, f"The runs agree up to float rounding: {whole(apart)} of {whole(compared)} spikes are ties."
    first = [entries[0]["title"] for entries in causes.values() if entries]
    why = f", mostly by {first[0]}" if first else ""
    agreement = min(entry.get("argmax_agreement", 1.0) for entry in parities.values())
    text = f"The runs part in {percent(apart / compared)} of spikes and silences{why}; "
    text += f"they give the same answer on {percent(agreement)} of the samples"
    if not any(entry.get("quantised") for entry in parities.values()):
        return mood, f"{text}."
    if mood == "close":
        return mood, f"{text}. Labels would say whether the integers are still the same network."
    shares = " and ".join(percent(share) for share in accuracy.values())
    still = "Still the same network in integers" if mood == "same" else "The integers lose accuracy"
    return mood, f"{still}: {shares} right. {text}."


def _good(accuracy: Mapping[str, float], told: str) -> tuple[Mood, str]:
    """A whole run in which every stage holds."""
    if "integer" not in accuracy:
        return "same", "Every stage that was run is still the trained network."
    numbers = f"{percent(accuracy['integer'])} of the test samples right in integers"
    if "pytorch" in accuracy:
        numbers += f", {percent(accuracy['pytorch'])} in PyTorch"
    elif "graph" in accuracy:
        numbers += f", {percent(accuracy['graph'])} in real numbers"
    return "same", f"Still the trained network: {numbers}{told and f', and {told}'}."


def _witnesses(parities: Mapping[str, Any], samples: Mapping[str, int]) -> Iterator[str]:
    """For each target that ran the integers and has all their spikes: its name, whose version, on how many samples."""
    for stage, entry in parities.items():
        if entry.get("against") == "integer" and entry.get("spike_mismatches") == 0:
            ran, of = entry.get("samples", 0), samples.get("integer", 0)
            many = f"{whole(ran)} of {whole(of)}" if ran < of else "all"
            yield f"{name_of(stage)}{_oracle(entry)} agrees on every spike of {many} samples"


def _oracle(entry: Mapping[str, Any]) -> str:
    """Whose software a target is, and of which version."""
    return f" ({entry['oracle']})" if entry.get("oracle") else ""


def _stage(stage: str, entry: Mapping[str, Any]) -> str:
    compared, apart = entry.get("spikes_compared", 0), entry.get("spike_mismatches", 0)
    against = name_of(entry.get("against", "?"))
    if not compared:
        return f"{name_of(stage)} against {against}: no spikes were recorded"
    text = f"{name_of(stage)} against {against}: {whole(apart)} of {whole(compared)} spikes and silences differ"
    above = entry.get("mismatches_above_rounding")
    if above is None:
        return f"{text}, beyond rounding not known"
    if "mismatches_following" not in entry:  # a result of 0.1
        return f"{text}, {whole(above)} beyond rounding"
    within, following = (entry[f"mismatches_{name}"] for name in ("by_rounding", "following"))
    return f"{text}: {parted(apart, above, within, following, bool(entry.get('uncompared')), whole)}"


def energy_verdict(models: Mapping[str, Any]) -> str:
    """Under which models the spiking network costs less than the same ANN, and under which more."""
    outcomes: dict[str, list[str]] = {}
    for name, ann in models.items():
        if is_ann(name, ann):
            base = ann.get("model", name)
            for other, spiking in models.items():
                if not is_ann(other, spiking) and spiking.get("model", other) == base:
                    outcomes.setdefault(_outcome(spiking, ann), []).append(str(base))
    if not outcomes:
        return ""
    parts = [f"{outcome} under {', '.join(names)}" for outcome, names in outcomes.items()]
    return f"Energy a sample, against the same network as an ANN: {'; '.join(parts)}"


def is_ann(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether an energy entry is about the conventional network of the same architecture."""
    return bool(entry.get("network") == "ann" or name.startswith("ann") or name.endswith("ann"))


def _outcome(spiking: Mapping[str, Any], ann: Mapping[str, Any]) -> str:
    """Who wins by nominal values, and whether low against low and high against high say the same."""
    cheaper = [ann[key] < spiking[key] for key in ("nominal", "low", "high")]
    winner = "the ANN wins" if cheaper[0] else "the SNN wins"
    return winner if len(set(cheaper)) == 1 else f"{winner}, though not over the whole range,"
