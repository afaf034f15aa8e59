"""The page of the digits' design space, from a sweep's table: what a timestep, a bit and a method are worth.

spikeport sweep docs/examples/digits.toml --out build/digits-space --on processes
python tests/design_space.py build/digits-space --write docs/results/design-space.md
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from spikeport.comparison.intervals import wilson
from spikeport.verbs.doctor import versions

ENERGY, TIME = "energy.loihi1-davies2018", "latency"
T, METHOD, F_C, BITS = "train.timesteps", "train.method", "train.method_options.f_c", "quantize.weight_bits"
BEGIN = "<!-- from here on: python tests/design_space.py -->"
Row = dict


def method(row: Row) -> str:
    """The method with its factor."""
    return row[METHOD] if row[F_C] is None else f"{row[METHOD]}, f_c {row[F_C]:g}"


def mean(rows: Iterable[Row], figure: str) -> float:
    return statistics.fmean(row[figure] for row in rows)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    rows = [list(head), ["---"] * len(head), *map(list, lines)]
    return [f"| {' | '.join(row)} |" for row in rows]


def compared(
    rows: list[Row], of: Callable[[Row], object], values: Sequence[object], others: Sequence[str]
) -> list[str]:
    """Each value against the last, over the points that both have: mean differences of accuracy, ratios of energy."""

    def rest(row: Row) -> tuple:
        return tuple(row[name] for name in others)

    known = {value: {rest(row): row for row in rows if of(row) == value} for value in values}
    lines = []
    for value in values:
        pairs = [(row, known[values[-1]][key]) for key, row in known[value].items() if key in known[values[-1]]]
        points = [100 * (a["accuracy"] - b["accuracy"]) for a, b in pairs]
        ratios = [a[ENERGY] / b[ENERGY] for a, b in pairs]
        times = [a[TIME] / b[TIME] for a, b in pairs]
        lines.append(
            (
                str(value),
                str(len(pairs)),
                f"{statistics.fmean(points):+.2f}",
                f"{min(points):+.2f} … {max(points):+.2f}",
                f"{statistics.fmean(ratios):.2f}",
                f"{statistics.fmean(times):.2f}",
            )
        )
    return table(("", "pairs", "accuracy, points", "least … most", "energy, times", "latency, times"), lines)


def page(place: Path) -> str:
    """The part of the page that is made of figures."""
    every = json.loads((place / "table.json").read_text())
    plan = json.loads((place / "sweep.json").read_text())["plan"]
    rows = [row for row in every if row["state"] == "done"]
    steps, bits = (sorted({row[name] for row in rows}) for name in (T, BITS))
    methods = sorted({method(row) for row in rows})
    low, high = wilson(350, 360)
    lines = [
        f"{len(rows)} points of {len(every)}: T {', '.join(map(str, steps))}; weight bits {', '.join(map(str, bits))}; "
        f"{'; '.join(methods)}; seeds {', '.join(map(str, sorted({row['train.seed'] for row in rows})))}; "
        f"{plan['verbs']['train']['epochs']} epochs. "
        + ", ".join(f"{k} {v}" for k, v in versions().items() if v)
        + ".",
        "",
        f"Accuracy on all 360 test digits; its 95 % interval at 97.2 % is {100 * low:.1f} … {100 * high:.1f} %, so "
        "that with one seed less than two points between networks are noise. Energy: joule a sample under "
        "`loihi1-davies2018`, of 100 samples; latency: modelled, on loihi1.",
        "",
        "## A timestep",
        "",
        f"Each number of steps against {steps[-1]}, same method and bits:",
        "",
        *compared(rows, lambda row: row[T], steps, (METHOD, F_C, BITS, "train.seed")),
        "",
        "## A bit",
        "",
        f"Each width against {bits[-1]} bits, same network:",
        "",
        *compared(rows, lambda row: row[BITS], bits, (METHOD, F_C, T, "train.seed")),
        "",
        "## A method",
        "",
        f"Each against {methods[-1]}, same steps and bits:",
        "",
        *compared(rows, method, methods, (T, BITS, "train.seed")),
        "",
        "## Every point",
        "",
    ]
    shown = sorted(rows, key=lambda row: (method(row), row[T], row[BITS], row["train.seed"]))
    lines += table(
        (
            "method",
            "T",
            "bits",
            "real, %",
            "integers, %",
            "drop",
            "energy, µJ",
            "latency, µs",
            "spikes a neuron and step",
            "front",
        ),
        [
            (
                method(row),
                str(row[T]),
                str(row[BITS]),
                f"{100 * row['real_accuracy']:.2f}",
                f"{100 * row['accuracy']:.2f}",
                f"{row['drop']:.2f}",
                f"{1e6 * row[ENERGY]:.3f}",
                f"{1e6 * row[TIME]:.0f}",
                f"{row['firing_rate']:.3f}",
                "yes" if row["front"] else "",
            )
            for row in shown
        ],
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    text = page(options.sweep)
    if options.write is None:
        print(text)
    else:
        head = options.write.read_text().partition(BEGIN)[0]
        options.write.write_text(f"{head}{BEGIN}\n\n{text}")
