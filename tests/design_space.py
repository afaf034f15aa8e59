"""The page of the design space, from tables of sweeps: what a timestep, a bit and a method are worth.

spikeport sweep docs/examples/digits.toml --out build/digits-space --on processes
spikeport sweep docs/examples/fmnist.toml --out build/fmnist-space --on processes
spikeport report build/digits-space     # writes the table of what is there, where a sweep still runs
python tests/design_space.py build/digits-space build/fmnist-space --write docs/results/design-space.md
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import design_picture
from spikeport.comparison.intervals import wilson
from spikeport.verbs.doctor import versions

SEED = "train.seed"
ENERGY, TIME = "energy.loihi1-davies2018", "latency"
T, METHOD, F_C, BITS = "train.timesteps", "train.method", "train.method_options.f_c", "quantize.weight_bits"
SETS = {"digits-space": ("Digits", 360), "fmnist-space": ("Fashion-MNIST", 10000)}  #: test samples of each plan
Row = dict


def marks(name: str) -> tuple[str, str]:
    """Between which lines of the page the figures of a plan stand."""
    return f"<!-- {name}: python tests/design_space.py -->", f"<!-- the end of {name} -->"


def method(row: Row) -> str:
    """The method with its factor."""
    return row[METHOD] if row.get(F_C) is None else f"{row[METHOD]}, f_c {row[F_C]:g}"


def mean(rows: Iterable[Row], figure: str) -> float:
    return statistics.fmean(row[figure] for row in rows)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    rows = [list(head), ["---"] * len(head), *map(list, lines)]
    return [f"| {' | '.join(row)} |" for row in rows]


def compared(
    rows: list[Row], of: Callable[[Row], object], values: Sequence[object], others: Sequence[str]
) -> list[str]:
    """Each value against the last, over the points that both have: mean differences of accuracy, ratios of energy.

    Where there are several seeds, the mean of each is taken first: what follows ± is the deviation over them.
    """

    def rest(row: Row) -> tuple:
        return tuple(row.get(name) for name in (*others, SEED))

    known = {value: {rest(row): row for row in rows if of(row) == value} for value in values}
    lines = []
    for value in values:
        pairs = [(row, known[values[-1]][key]) for key, row in known[value].items() if key in known[values[-1]]]
        if not pairs:
            lines.append((str(value), "0", *[""] * 4))
            continue
        points = [100 * (a["accuracy"] - b["accuracy"]) for a, b in pairs]
        each = [
            statistics.fmean(point for point, (a, _) in zip(points, pairs, strict=True) if a.get(SEED) == seed)
            for seed in sorted({a.get(SEED) or 0 for a, _ in pairs})
            if any(a.get(SEED) == seed for a, _ in pairs)
        ]
        around = f" ± {statistics.stdev(each):.2f}" if len(each) > 1 else ""
        ratios = [a[ENERGY] / b[ENERGY] for a, b in pairs]
        times = [a[TIME] / b[TIME] for a, b in pairs]
        lines.append(
            (
                str(value),
                str(len(pairs)),
                f"{statistics.fmean(points):+.2f}{around}",
                f"{min(points):+.2f} … {max(points):+.2f}",
                f"{statistics.fmean(ratios):.2f}",
                f"{statistics.fmean(times):.2f}",
            )
        )
    return table(("", "pairs", "accuracy, points", "least … most", "energy, times", "latency, times"), lines)


def together(rows: Iterable[Row]) -> list[list[Row]]:
    """Points that differ in their seed alone, sorted by method, steps and bits."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault((method(row), row[T], row[BITS]), []).append(row)
    return [group for _, group in sorted(groups.items())]


def every_point(rows: Iterable[Row]) -> list[str]:
    """A line a point: means over seeds, and the deviation of the integers' accuracy."""
    head = "method,T,bits,seeds,real %,integers %,drop,energy µJ,latency µs,spikes a neuron and step"
    lines = []
    for group in together(rows):
        first, percents = group[0], [100 * row["accuracy"] for row in group]
        around = f" ± {statistics.stdev(percents):.2f}" if len(group) > 1 else ""
        lines.append(
            (
                method(first),
                str(first[T]),
                str(first[BITS]),
                str(len(group)),
                f"{100 * mean(group, 'real_accuracy'):.2f}",
                f"{statistics.fmean(percents):.2f}{around}",
                f"{mean(group, 'drop'):.2f}",
                f"{1e6 * mean(group, ENERGY):.3f}",
                f"{1e6 * mean(group, TIME):.0f}",
                f"{mean(group, 'firing_rate'):.3f}",
            )
        )
    return table(head.split(","), lines)


def points(place: Path) -> list[Row]:
    """The points of a sweep that are done."""
    return [row for row in json.loads((place / "table.json").read_text()) if row["state"] == "done"]


def page(place: Path) -> tuple[str, str]:
    """The name of a sweep's plan, and the part of the page that is made of its figures."""
    every, rows = json.loads((place / "table.json").read_text()), points(place)
    plan = json.loads((place / "sweep.json").read_text())["plan"]
    title, samples = SETS[plan["name"]]
    if not rows:
        return plan["name"], f"No point of {len(every)} is done.\n"
    steps, bits = (sorted({row[name] for row in rows}) for name in (T, BITS))
    methods = sorted({method(row) for row in rows}, key=lambda name: (name == "fixed", name))  # fixed last
    seeds = sorted({row[SEED] for row in rows if row.get(SEED) is not None})
    middle = statistics.median(row["accuracy"] for row in rows)
    low, high = wilson(round(middle * samples), samples)
    lines = [
        f"{len(rows)} points of {len(every)}: T {', '.join(map(str, steps))}; weight bits {', '.join(map(str, bits))}; "
        f"{'; '.join(methods)}; {'seeds ' + ', '.join(map(str, seeds)) if seeds else 'one seed'}; "
        f"{plan['verbs']['train']['epochs']} epochs. "
        + ", ".join(f"{k} {v}" for k, v in versions().items() if v)
        + ".",
        "",
        f"Accuracy on all {samples} test samples; the 95 % interval of the middle one, {100 * middle:.1f} %, is "
        f"{100 * low:.1f} … {100 * high:.1f} %. "
        + ("± is the standard deviation over seeds. " if len(seeds) > 1 else "One seed: less than that is noise. ")
        + f"Energy: joule a sample under `{ENERGY.partition('.')[2]}`, of {plan['verbs']['energy']['limit']} samples; "
        "latency: modelled, on loihi1.",
        "",
        f"![{title}: accuracy against energy, and against weight bits]({plan['name']}.png)",
        "",
        f"### {title}: a timestep",
        "",
        f"Each number of steps against {steps[-1]}, same method and bits:",
        "",
        *compared(rows, lambda row: row[T], steps, (METHOD, F_C, BITS)),
        "",
        f"### {title}: a bit",
        "",
        f"Each width against {bits[-1]} bits, same network:",
        "",
        *compared(rows, lambda row: row[BITS], bits, (METHOD, F_C, T)),
        "",
        f"### {title}: a method",
        "",
        f"Each against {methods[-1]}, same steps and bits:",
        "",
        *compared(rows, method, methods, (T, BITS)),
        "",
        f"### {title}: every point",
        "",
    ]
    lines += every_point(rows)
    return plan["name"], "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sweeps", type=Path, nargs="+")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    for sweep in options.sweeps:
        name, text = page(sweep)
        if options.write is None:
            print(text)
            continue
        design_picture.write(points(sweep), options.write.with_name(f"{name}.png"))
        begin, end = marks(name)
        head, _, rest = options.write.read_text().partition(begin)
        options.write.write_text(f"{head}{begin}\n\n{text}\n{end}{rest.partition(end)[2]}")
