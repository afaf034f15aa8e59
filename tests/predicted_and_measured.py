"""Every public measurement of a described network beside what the cost models say, as a page.

python tests/predicted_and_measured.py --write docs/results/predicted-and-measured.md
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path

from measured_networks import dense, mobilenet, pilotnet
from spikeport.costs import find
from spikeport.costs.model import Range
from spikeport.files import write_text
from spikeport.mapping.fit import fit

DAVIES, SANAFE, LOIHI2 = "loihi1-davies2018", "loihi1-sanafe2025", "loihi2-pilotnet"
NOTEBOOK = "lava-dl d825ac5, PilotNet benchmark"
LOGS = "Applied Brain Research, arXiv 1812.01739 and its logs"
BRANCH = "dynamic of 10 x 256 more neurons, µJ"
OTHER = "Loihi 1's constants for Loihi 2"
WIDEST = 4.0  #: of a stated range, end to end


@dataclass(frozen=True)
class Row:
    """One measurement and one prediction of it."""

    case: str
    what: str  #: with its unit
    source: str
    measured: Range
    model: str
    predicted: Range
    fitted: bool  #: whether a constant of the model comes from this measurement
    assumption: str  #: the one that weighs most
    outside: str = ""  #: why it lies outside the model's range, where it does

    @property
    def inside(self) -> bool:
        """Whether the two ranges meet."""
        return self.measured.low <= self.predicted.high and self.predicted.low <= self.measured.high

    @property
    def factor(self) -> float:
        """The larger of nominal prediction and measurement over the smaller; of a measured range, its nearer end."""
        predicted = self.predicted.nominal
        measured = min(max(predicted, self.measured.low), self.measured.high)
        return max(predicted / measured, measured / predicted)

    @property
    def width(self) -> float:
        """Of the predicted range, end to end."""
        return self.predicted.high / self.predicted.low


def about(nominal, low=None, high=None):
    """A measurement, with its spread where it has one."""
    return Range(nominal if low is None else low, nominal, nominal if high is None else high)


def between(low, high):
    """A range whose middle is its geometric mean."""
    return Range(low, sqrt(low * high), high)


def dynamic(estimate):
    """Of an estimate, microjoule."""
    return Range(estimate.low, estimate.nominal, estimate.high) * 1e6


@cache
def rows() -> tuple[Row, ...]:
    """All of them."""
    return (*_pilotnet(), *_keywords(), *_cores())


def _pilotnet():
    differs = "a model of Loihi 1, which is built in 14 nm, held to Loihi 2, in Intel 4"
    models = [find(name) for name in (LOIHI2, DAVIES, SANAFE)]
    on2 = pilotnet().costs("loihi2", models[:1])
    on1 = pilotnet().costs("loihi1", models[1:], step_seconds=152.8e-6)
    energy, total, step = (about(value) for value in (1093.5, 1661.1, 152.8))

    def row(what, measured, model, predicted, fitted, assumption="activity of another frame, spread evenly", why=""):
        return Row("PilotNet LIF, Loihi 2", what, NOTEBOOK, measured, model, predicted, fitted, assumption, why)

    yield row("dynamic, µJ", energy, LOIHI2, dynamic(on2.estimates[LOIHI2]), True)
    yield row("total, µJ", total, LOIHI2, on2.estimates[LOIHI2].total * 1e6, True)
    yield row("step, µs", step, "times of loihi2", on2.latency.step * 1e6, True)
    davies, sanafe = (on1.estimates[name] for name in (DAVIES, SANAFE))
    yield row("dynamic, µJ", energy, DAVIES, dynamic(davies), False, OTHER, differs)
    yield row("total at its step, µJ", total, DAVIES, davies.total * 1e6, False, OTHER)
    yield row("dynamic, µJ", energy, SANAFE, dynamic(sanafe), False, OTHER, differs)
    yield row("total at its step, µJ", total, SANAFE, sanafe.total * 1e6, False, OTHER)
    yield row("step, µs", step, "times of loihi1", on1.latency.step * 1e6, False, OTHER, differs)
    static = find(LOIHI2)["static_power"] * 59.28e-3 * 1e6
    idle = "dynamic energy is below the noise at 16.9 steps a second"
    case = "PilotNet sigma-delta, Loihi 2, fed by its host"
    yield Row(case, "total a step of 59.3 ms, µJ", NOTEBOOK, about(16344.0), LOIHI2, static, True, idle)


def _keywords():
    host = "host and I/O at every step; activity (10 %) is not published"
    slow = "the host feeds and reads every step, which the modelled step has not in it: give --step-time"
    models = [find(name) for name in (DAVIES, SANAFE)]
    network = dense(390, 256, 256, 29, steps=10)
    given = network.costs("loihi1", models, step_seconds=338e-6)
    free = network.costs("loihi1", models)
    added = {rate: dense(256, 2560, steps=10, rate=rate).costs("loihi1", models) for rate in (0.05, 0.1, 0.2)}

    def row(what, measured, model, predicted, fitted, assumption=host, why=""):
        case = "keyword spotting 390-256-256-29, Loihi 1"
        return Row(case, what, LOGS, measured, model, predicted, fitted, assumption, why)

    for name in (DAVIES, SANAFE):
        each = given.estimates[name]
        yield row("above idle at its step, µJ", about(270.0), name, dynamic(each) + each.host * 1e6, True)
        yield row("total at its step, µJ", about(372.0), name, each.total * 1e6, True)
        marginal = Range(*(added[rate].estimates[name].nominal * 1e6 for rate in added))
        spread = "5, 10 and 20 % activity: not published"
        yield row(BRANCH, about(17.1), name, marginal, False, spread)
        total = free.estimates[name].total * 1e6
        yield row("total at the modelled step, µJ", about(372.0), name, total, False, host, slow)
    step = free.latency.step * 1e6
    yield row("step, µs", between(338, 877), "times of loihi1", step, False, host, slow)
    power = (find(SANAFE)["static_power"] + find(SANAFE)["host_power"]) * 1e3
    yield Row("Loihi 1 chip, running", "power, mW", LOGS, about(116.0, 108, 125), SANAFE, power, True, "one board")


def _cores():
    logs = "compile logs, lava-dl d825ac5"
    rule = "bits a synapse: 15 to 20"
    for case, network, cores in (
        ("MNIST 784-128-64-10, Loihi 2", dense(784, 128, 64, 10, steps=1), 5),
        ("Oxford 200-256-200, Loihi 2", dense(200, 256, 200, steps=1), 5),
        ("PilotNet LIF, Loihi 2", pilotnet(1), 61),
    ):
        least, most = (fit(network.graph, "loihi2", sharing=sharing).cores for sharing in ("shared", "unrolled"))
        yield Row(case, "cores", logs, about(cores), "fit loihi2", Range(least, least, most), True, rule)
    least, most = (fit(mobilenet(), "loihi1", sharing=sharing).chips for sharing in ("shared", "unrolled"))
    case, weights = "MobileNet 128 x 128, Loihi 1", "version 1 of width 1; weights shared or unrolled"
    yield Row(case, "chips", "NxTF's abstract", about(16), "fit loihi1", between(least, most), False, weights)


def page(rows):
    """The page."""
    predicted = [row for row in rows if not row.fitted]
    outside, other = sum(bool(row.outside) for row in predicted), sum(row.assumption == OTHER for row in predicted)
    branch = [row for row in rows if row.what == BRANCH]
    said = " and ".join(f"{row.predicted.nominal:.3g}" for row in branch)
    near = sum(row.factor <= 2 for row in predicted)
    head = ("case", "what", "measured", "model", "predicted", "off by", "row", "what weighs most", "source")
    table = "\n".join(_line(cells) for cells in (head, ("---",) * len(head), *map(_cells, rows)))
    beyond = "\n".join(f"- {row.case}, {row.what}, by {row.model}: {row.outside}." for row in rows if row.outside)
    return f"""# Predicted and measured

Written by `python tests/predicted_and_measured.py --write docs/results/predicted-and-measured.md`. Every public
measurement of a described network that we know, beside what each model of that chip's family says: low, nominal, high.
A row is *fitted* where a constant of the model comes from that measurement: it shows that the model holds together, not
that it predicts. Only the *predicted* rows count; of those at the modelled step the step is predicted, the powers come
from the same logs.

*Off by*: the larger of nominal value and measurement over the smaller; of a measured range, its nearer end. *At its
step*: with the step time that was measured. *Above idle*: without static power. Energies are a frame's or an
inference's. `times of` a chip: its mapping's step. No measurement of a described network is known to us for SpiNNaker
2; the 45 nm and H100 models price no whole chip.

{table}

Of {len(predicted)} predicted rows {near} are within a factor of 2 at their nominal value; the others are a chip that
waits for its host. {outside} lie outside the model's own range, {other} hold a model of Loihi 1 to a Loihi 2. What
remains, Loihi 1 held to itself and not to its host, are two energies of events at an assumed activity, and one number
of chips.

## What the rows outside their range say

{beyond}

## What follows

- Energies of events on Loihi 1 were held to one added branch: it took {branch[0].measured.nominal:.3g} µJ, and the
  models say {said} at an assumed activity of 10 %, {branch[0].predicted.low:.2g} to {branch[-1].predicted.high:.2g}
  between 5 and 20 %. That does not contradict them, and does not settle them.
- The keyword network on Loihi 1 was host, I/O and static power first: its modelled events are 1 to 3 % of what was
  measured. Of PilotNet on Loihi 2 two thirds were dynamic. The step time decides: the modelled step has no host in
  it; where the host feeds or reads every step (0.34 to 0.88 ms in the keyword runs), pass what you measure as
  `--step-time`.
- Loihi 2's model is one measurement, spread by Loihi 1's proportions. A second described network would be its first
  test.
"""


def _cells(row):
    def three(value):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"

    spread = row.measured.high > row.measured.low
    measured = f"{three(row.measured.low)} to {three(row.measured.high)}" if spread else three(row.measured.nominal)
    low, nominal, high = (three(value) for value in (row.predicted.low, row.predicted.nominal, row.predicted.high))
    kind = ("fitted" if row.fitted else "predicted") + (", outside its range" if row.outside else "")
    return (
        row.case,
        row.what,
        measured,
        f"`{row.model}`" if row.model in (DAVIES, SANAFE, LOIHI2) else row.model,
        f"{low} / **{nominal}** / {high}",
        f"{row.factor:.2f}",
        kind,
        row.assumption,
        row.source,
    )


def _line(cells):
    return f"| {' | '.join(cells)} |"


def main():
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path)
    path = parser.parse_args().write
    text = page(rows())
    if path is None:
        print(text)
    else:
        write_text(path, text)


if __name__ == "__main__":
    sys.exit(main())
