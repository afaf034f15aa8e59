"""xylosim beside the definition on random networks, and beside the engine on a trained one, as a page of results.

python tests/xylo_page.py --graphs 800 --model build/xylo/model.int.nir --write docs/results/xylo.md
"""

from __future__ import annotations

import argparse
import platform
from collections import Counter
from pathlib import Path

import numpy as np

from conformance.cases import case
from conformance.judge import judge
from conformance.targets import CONTESTANTS
from conformance.waivers import waivers
from spikeport.comparison import parity
from spikeport.engine import simulate
from spikeport.files import write_text
from spikeport.graph import LIF
from spikeport.target import Request
from spikeport.verbs.load import load_data, load_model
from spikeport_targets.xylo import Xylo
from spikeport_targets.xylo.child import ENVIRONMENT
from spikeport_targets.xylo.records import BETWEEN

FIRST, AT_ONCE = 1000, 100  #: seed of the first network; networks in one child process
TRAINED = Request(trains=True, membranes=True)


PAGE = """# Xylo beside xylosim

`{command}`, {versions}.

xylosim is SynSense's simulator of Xylo, to the bit by its own words; nothing here ran on a chip. Both sides get the
same graph of whole numbers: the [definition](../semantics.md#loihis-integers) in numpy, and xylosim in a
[child process](../targets.md#xylo).

Of {graphs:,} random networks, recurrent ones among them, {ran:,} have a place on the chip (the others are refused:
{refused}), with {places:,} places for a spike and {spikes:,} spikes:

| networks | spikes, spike counts, membranes, outputs and overflows |
|---|---|
| {exact:,} | equal, every one |
| {between:,} | differ, and the record says why: a sum saturated between the events of a step |
| **{unexplained:,}** | differ without a reason |

xylosim adds the events of a step one after the other and clips each sum to 16 bits; the definition adds them and clips
once. `check` names the layers whose worst case gets that far (SP677).

## A trained network

The shipped `vowels-xylo`, as `spikeport run vowels-xylo --data japanese-vowels-counts --target xylo` quantises it, on
the test utterances of JapaneseVowels: the integer engine beside xylosim.

| samples | right | places for a spike | spikes that differ | membranes that differ | sums that saturated between |
|---|---|---|---|---|---|
"""


def networks(count: int) -> Counter[str]:
    """What came of ``count`` random networks: exact, between, unexplained, or the code of a refusal; and spikes."""
    counts, contestant, excuses = Counter(unexplained=0), CONTESTANTS["xylo"], waivers("xylo")
    for first in range(FIRST, FIRST + count, AT_ONCE):
        cases = [case.__wrapped__("xylo", seed) for seed in range(first, min(first + AT_ONCE, FIRST + count))]
        for each, tried in zip(cases, contestant.try_all(cases), strict=True):
            verdict = judge([each], [tried], excuses)
            if tried.outcome is None:
                counts.update(verdict.refused)
                continue
            what = (
                "unexplained" if verdict.differences else "between" if any(w.when for w in verdict.waived) else "exact"
            )
            counts[what] += 1
            for name in each.graph.nodes_of(LIF):
                counts["spikes"] += int(each.truth.values[name].sum())
                counts["places"] += each.truth.values[name].size
        print(first, dict(counts), flush=True)
    return counts


def trained(path: str, data: str) -> str:
    """A trained network on both, a row of the page."""
    graph, test = load_model(path).graph, load_data(data, "test", load_model(path).graph)
    ours, theirs = simulate(graph, test.x, TRAINED), Xylo().run(graph, test.x, TRAINED)
    pair = parity(theirs, ours, exact=True)
    membranes = sum(int((ours.membranes[name] != theirs.membranes[name]).sum()) for name in ours.membranes)
    between = sum(kinds.get(BETWEEN, 0) for kinds in theirs.overflows.values())
    right = round(theirs.accuracy(test.y) * theirs.samples)
    cells = (f"{theirs.samples}", f"{right}", f"{pair.spikes_compared:,}", f"{pair.spike_mismatches:,}")
    return f"| {' | '.join((*cells, f'{membranes:,}', f'{between:,}'))} |"


def page(order: argparse.Namespace) -> str:
    """The whole page."""
    counts = networks(order.graphs)
    ran = sum(counts[name] for name in ("exact", "between", "unexplained"))
    refused = ", ".join(f"{code} {number}" for code, number in sorted(counts.items()) if code.startswith("SP"))
    command = f"python tests/xylo_page.py --graphs {order.graphs} --model {order.model} --write docs/results/xylo.md"
    versions = f"{ENVIRONMENT.requirements[-1].replace('==', ' ')}, numpy {np.__version__}"
    about = {"command": command, "versions": f"Python {platform.python_version()}, {versions}", "refused": refused}
    text = PAGE.format(**about, graphs=order.graphs, ran=ran, **counts)
    return text + trained(order.model, order.data) + "\n"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--graphs", type=int, default=800)
    options.add_argument("--model", default="build/xylo/model.int.nir")
    options.add_argument("--data", default="japanese-vowels-counts")
    options.add_argument("--write", type=Path, required=True)
    order = options.parse_args()
    write_text(order.write, page(order))


if __name__ == "__main__":
    main()
