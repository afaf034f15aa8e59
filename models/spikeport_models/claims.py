"""The two claims of the papers on real data: ``python -m spikeport_models.claims digits-conv``.

Trains a recipe with MPD-AGL, with DS-ATGO and with each paper's fixed baseline, several seeds each, and shows for
every layer the share of membranes inside the gradient-available interval, and for every timestep the firing rate.
Both are measured as the network will run: on the test part, with the thresholds that training left in the table.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from spikeport import datasets
from spikeport.files import replacing, write_json
from spikeport.training.parts import Part
from spikeport.training.probe import Activity, activity
from spikeport.training.recipe import parse_overrides
from spikeport.verbs.train import train

#: Method and its options, by the name in the plot. Each paper's own baseline is a fixed surrogate of width 1 around its
#: own start threshold: 0.5 (MPD-AGL) and 1 (DS-ATGO).
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed, V_th 0.5": ("fixed", {}),
    "mpd-agl, V_th 0.5": ("mpd-agl", {}),
    "fixed, V_th 1": ("fixed", {"threshold": 1.0}),
    "ds-atgo, V_th 1": ("ds-atgo", {}),
}
SAMPLES = 500  #: of the test part, on which activity is measured


def claims(recipe: str, seeds: int, out: Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Train and measure; shares and accuracies between 0 and 1, a list over seeds for each layer and timestep."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for name, (method, method_options) in METHODS.items():
        for seed in range(seeds):
            options = {**(overrides or {}), "seed": 2025 + seed, "method_options": method_options}
            place = out / f"{name.replace(', V_th ', '-')}-{seed}"
            done = train(recipe, method, place, options, overwrite=True, progress=False)
            facts = done.metadata
            data = datasets.load(facts["dataset"], "test", timesteps=facts["timesteps"]).take(SAMPLES)
            x, _ = Part.of(data.x, data.y, data.coding).pick(torch.arange(len(data)))
            layers = activity(done.module, x, data.coding)
            measured = {
                kind: {key.removesuffix(".neuron"): getattr(layer, kind) for key, layer in layers.items()}
                for kind in ("inside", "rate", "threshold", "width")
            }
            runs.setdefault(name, []).append({"test_accuracy": facts["test_accuracy"], **measured})
            print(f"{name}, seed {2025 + seed}: {_line(layers)}, test {facts['test_accuracy']:.2%}", flush=True)
    result = {"recipe": recipe, "set": dict(overrides or {}), "seeds": seeds, "samples": SAMPLES, "methods": runs}
    write_json(out / "claims.json", result)
    draw(result, out / "claims.png")
    return result


def _line(layers: Mapping[str, Activity]) -> str:
    inside = statistics.fmean(value for layer in layers.values() for value in layer.inside)
    rate = statistics.fmean(value for layer in layers.values() for value in layer.rate)
    return f"inside {inside:.1%}, rate {rate:.1%}"


def table(result: Mapping[str, Any]) -> str:
    """What was measured as Markdown: means over timesteps (rates: over layers); ± the deviation of several seeds."""
    layers = list(next(iter(result["methods"].values()))[0]["inside"])
    heads = [
        "method",
        *(f"inside, {name} (%)" for name in layers),
        *(f"width, {name}" for name in layers),
        "rate at each t (%)",
        "test accuracy (%)",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for method, runs in result["methods"].items():
        inside = [_spread([100 * statistics.fmean(run["inside"][name]) for run in runs]) for name in layers]
        widths = [_spread([statistics.fmean(run["width"][name]) for run in runs]) for name in layers]
        accuracy = _spread([100 * run["test_accuracy"] for run in runs])
        rates = ", ".join(f"{mean:.1f}" for mean, _ in _rates(runs))
        several = len(runs) > 1
        cells = [
            method,
            *(_cell(one, 1, several) for one in inside),
            *(_cell(one, 2, several) for one in widths),
            rates,
            _cell(accuracy, 1, several),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: tuple[float, float], digits: int, several: bool) -> str:
    mean, deviation = value
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}" if several else f"{mean:.{digits}f}"


def _rates(runs: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Firing rate of each timestep in percent, mean over layers; mean and deviation over seeds."""
    layers = list(runs[0]["rate"].values())
    return [
        _spread([100 * statistics.fmean(steps[t] for steps in run["rate"].values()) for run in runs])
        for t in range(len(layers[0]))
    ]


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Left: share inside the interval a layer, mean over time and seeds. Right: firing rate a timestep."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for number, (method, runs) in enumerate(result["methods"].items()):
        layers = list(runs[0]["inside"])
        inside = [_spread([100 * statistics.fmean(run["inside"][name]) for run in runs]) for name in layers]
        places = [k + 0.2 * (number - 1.5) for k in range(len(layers))]
        left.bar(places, [m for m, _ in inside], 0.18, yerr=[d for _, d in inside], label=method, capsize=3)
        rates = _rates(runs)
        steps = range(len(rates))
        right.errorbar([t + 1 for t in steps], [m for m, _ in rates], [d for _, d in rates], label=method, capsize=3)
    left.set_xticks(range(len(layers)), layers)
    left.set(ylabel="inside the gradient-available interval (%)", ylim=(0, 85))
    right.axhline(15.87, color="grey", linewidth=1, linestyle=":", label="1 - Φ(1) = 15.87 %")
    right.set(xlabel="timestep", ylabel="firing rate, mean over layers (%)", ylim=(0, None))
    right.set_xticks([t + 1 for t in steps])
    for axes in (left, right):
        axes.legend(loc="upper right" if axes is left else "lower left", ncols=2 if axes is left else 1)
        axes.grid(axis="y", alpha=0.3)
    figure.suptitle(f"{result['recipe']}, {result['seeds']} seeds, mean and standard deviation")
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=130)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", nargs="?", default="digits-conv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/claims"))
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    options = parser.parse_args()
    print(table(claims(options.recipe, options.seeds, options.out, parse_overrides(options.set))))
    print(f"wrote {options.out / 'claims.json'} and {options.out / 'claims.png'}")


if __name__ == "__main__":
    main()
