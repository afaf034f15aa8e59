"""What `witnesses.py` found, as a page of the documentation."""

from __future__ import annotations

import json
import platform
from collections import Counter
from importlib.metadata import version

import numpy as np

import nengo_cores
from spikeport.files import write_json, write_text
from spikeport_targets.nengo_loihi.child import ENVIRONMENT as NENGO
from witness_limits import rows

WITNESSES = {"lava": "Lava", "nengo-loihi": "nengo-loihi", "Brian2Loihi": "Brian2Loihi"}
PROFILE = {
    "lava": "`loihi2`",
    "nengo-loihi": '`loihi2` with `accumulator_bits = 22` and `weight_shift = "each"`',
    "Brian2Loihi": '`loihi2` with `weight_shift = "each"`',
}


def page(entries, order):
    """Write it to ``order.write``."""
    command = f"python tests/witnesses.py --graphs {order.graphs} --write docs/results/witnesses.md"
    machine = (
        f"Python {platform.python_version()}, numpy {np.__version__}, lava-nc {version('lava-nc')}, "
        f"{', '.join(NENGO.requirements[:3]).replace('==', ' ')}, brian2-loihi 0.5.2 on brian2 2.7.1"
    )
    lines = ["# Loihi by three witnesses", "", f"`{command}`, {machine}.", "", INTRODUCTION]
    lines += ["## The same networks", "", *networks(entries), "", *parted(entries), ""]
    lines += ["## One sum at the limit", "", LIMIT]
    heads = ("what arrives", "Lava", "ours, `loihi2`", "nengo-loihi", "ours, with both switches", "Brian2Loihi")
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {case} | {' | '.join(f'{value:,}' for value in values)} |" for case, values in limits(order.parts)]
    write_text(order.write, "\n".join([*lines, "", ENDING, *cores(order.parts)]))


def limits(parts):
    """The rows of `witness_limits`, kept beside the parts."""
    file = parts / "limits.json"
    if not file.exists():
        write_json(file, list(rows()))
    return json.loads(file.read_text())


def cores(parts):
    """What a layer takes of a core by nengo-loihi's count and by ours, kept beside the parts."""
    file = parts / "cores.json"
    if not file.exists():
        write_json(file, [list(row) for row in nengo_cores.rows()])
    rows = json.loads(file.read_text())
    alike = sum(not apart for _, _, _, apart, *_ in rows)
    same = [row for row in rows if row[4] == row[6] and row[5] == row[7]]
    yield "## Cores of Loihi 1"
    yield ""
    yield (
        f"`python tests/nengo_cores.py`: {len(nengo_cores.NETWORKS)} networks of {len(rows)} layers, convolutions "
        "unrolled. nengo-loihi counts compartments, synapse memory, input and output axons of a block; `spikeport fit` "
        f"counts the same of a layer that one core would hold: all four are equal in {alike} of {len(rows)} layers. "
        "nengo-loihi splits a block into equal runs of neurons, by the totals; we look for the tile that keeps every "
        f"limit. The number of cores, and the limits kept, are the same for {len(same)} layers. The others:"
    )
    yield ""
    yield "| network | layer | shape | our cores | nengo-loihi's blocks | limits that these break |"
    yield "|---|---|---|---|---|---|"
    for number, name, shape, _, mine, _, other, broken in (row for row in rows if row not in same):
        size = " x ".join(map(str, shape))
        yield f"| {number} | {name} | {size} | {mine} | {other} | {', '.join(broken).replace('_', ' ') or 'none'} |"
    yield ""


def networks(entries):
    """A row a witness: how many networks, and how many bits differ from the engine on its profile."""
    total = {key: sum(entry[key] for entry in entries) for key in ("layers", "bits", "fired", "wrapped")}
    yield (
        f"{len(entries)} random networks that Loihi 1 can hold, three samples each, the last one of seed "
        f"{entries[-1]['seed']}: "
        f"{total['layers']:,} spiking layers, {total['bits']:,} spike bits ({total['fired']:,} of them fired), as many "
        f"membranes. With Loihi 1's accumulator {total['wrapped']:,} sums wrap, in "
        f"{sum(bool(entry['wrapped']) for entry in entries)} networks."
    )
    yield ""
    heads = ("witness", "the engine's profile", "networks", "spikes that differ", "membranes", "outputs", "left out")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for key, name in WITNESSES.items():
        results = [entry[key] for entry in entries if key in entry]
        compared = [result for result in results if isinstance(result, dict)]
        wrong = sum((Counter(result) for result in compared), Counter())
        left = Counter(result for result in results if isinstance(result, str))
        cells = (name, PROFILE[key], len(compared), *(wrong[k] for k in ("spikes", "membranes", "outputs")))
        yield f"| {' | '.join(map(str, cells))} | {', '.join(f'{n}: {why}' for why, n in left.items()) or 'none'} |"
    alike = sum(entry["counted alike"] for entry in entries)
    yield ""
    yield (
        f"nengo-loihi and the engine count the same wrapped sums, layer by layer, in {alike} of {len(entries)} "
        "networks. Left out are networks in which a number leaves what the engine imitates: it counts these, and "
        "equality is not promised there. Brian2Loihi has one threshold and one decay a layer, no bias and binary input."
    )


def parted(entries):
    """Why Lava and nengo-loihi differ, where they do."""
    both = [entry for entry in entries if isinstance(entry["lava"], dict) and isinstance(entry["nengo-loihi"], dict)]
    apart = [entry for entry in both if entry["lava and nengo-loihi"]]
    names = Counter(" and ".join(f"`{switch}`" for switch in entry["switches"]) for entry in apart)
    bits = sum((Counter(entry["lava and nengo-loihi"]) for entry in apart), Counter())
    yield (
        f"Lava and nengo-loihi agree on every bit in {len(both) - len(apart)} of {len(both)} networks. In the other "
        f"{len(apart)}, {bits['spikes']:,} spikes, {bits['membranes']:,} membranes and {bits['outputs']:,} outputs "
        "differ, and the engine gives each one's bits on its own profile. Each switch of the two is set alone to see "
        "whether the network feels it:"
    )
    yield ""
    yield "| switches that this network feels | networks |"
    yield "|---|---|"
    yield from (f"| {name or '**none**'} | {count} |" for name, count in sorted(names.items()))
    yield ""
    yield f"**Unexplained: {sum(not entry['switches'] for entry in apart)} networks.**"


INTRODUCTION = """\
Lava's fixed-point models are the public definition of Loihi 2's integers. nengo-loihi's emulator, whose tests also run
on real chips, and Brian2Loihi, written after the first chip's behaviour, speak for Loihi 1. They are three code bases
by three groups. Where two of them differ, a switch of the profile has to say why; a bit without a reason would be an
error in one of them, or in ours.
"""
LIMIT = """\
The membrane of one neuron after one step in which so much arrives, in membrane units (64 to a unit of weight). Its
threshold is the largest that there is, 8,388,544: a 0 in the rows from 8,388,608 on is a neuron that fired, or a sum
that wrapped to nothing.
"""
ENDING = """\
- nengo-loihi's accumulator has 22 bits in two's complement: 2^21 arrives as -2^21, twice that as nothing.
- Lava's sums go on to 24 bits, where they wrap; the engine counts what would, and does not imitate it.
- Brian2Loihi has no accumulator: its sums are floating-point numbers of any size. It clips single weights at
  2^21 - 64, which no weight of 8 bits reaches. So two of three say that each weight is shifted, and one alone, the
  one whose tests run on chips, that sums wrap.
- A current that outlasts its step (CubaLIF) wraps at 24 bits in nengo-loihi, as its sum with the bias does, and in
  Lava: where 2,097,088 arrive in each of six steps and 1/4096 decays, both hold 8,386,815 after four and -6,294,849
  after five (`python tests/witness_limits.py --currents`). Brian2Loihi and the engine go on, so that the neuron
  fires. No profile has a switch for that: the engine counts such sums, the target counts what wrapped, and `check`
  says it, of the integer engine (SP644), of Lava (SP624) and of nengo-loihi (SP637).
"""
