"""Lava, nengo-loihi, Brian2Loihi and the engine on the same networks; where two differ, a switch of a profile says why.

python tests/witnesses.py --graphs 500 --parts build/witnesses --write docs/results/witnesses.md

Each part of 25 seeds is kept in a file of its own, and the next run goes on after them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import brian2_oracle
from loihi1_graphs import CHIP, SWITCHES, apart, jobs, wraps
from spikeport.engine import simulate
from spikeport.files import write_json
from spikeport.graph import LOIHI2, Loihi
from spikeport.graph.loihi import BEYOND, SATURATED, WRAPPED
from spikeport.target import Request
from spikeport_targets.lava.target import run_all as on_lava
from spikeport_targets.nengo_loihi.target import run_all as on_nengo

EVERYTHING = Request(trains=True, membranes=True)
AT_ONCE = 25  # seeds in one part
BRIAN = replace(LOIHI2, name="Brian2Loihi", weight_shift="each")
FOREIGN = {"current wrapped", "current and bias wrapped"}  # wraps that no profile knows: counted only


def kinds(record):
    """What overflowed anywhere."""
    return {kind for node in record.overflows.values() for kind in node}


def part(seeds):
    """One entry a network of these seeds that Loihi 1 can hold."""
    networks = jobs(seeds)
    plain = {seed: network for seed, network in networks.items() if brian2_oracle.takes(network[0])}
    summed = [(graph.with_(arithmetic=Loihi(LOIHI2)), samples) for graph, samples in networks.values()]
    lava = dict(zip(networks, on_lava(summed, EVERYTHING), strict=True))
    nengo = dict(zip(networks, on_nengo(list(networks.values()), EVERYTHING), strict=True))
    brian = dict(zip(plain, on_brian(plain), strict=True))
    return [entry(seed, *networks[seed], lava[seed], nengo[seed], brian.get(seed)) for seed in networks]


def on_brian(plain):
    if not plain or brian2_oracle.ENVIRONMENT.interpreter() is None:
        return [None] * len(plain)
    with tempfile.TemporaryDirectory() as folder:
        return brian2_oracle.run_all(list(plain.values()), Path(folder))


def entry(seed, graph, samples, lava, nengo, brian):
    """What each witness says of one network, and which switches part Lava from nengo-loihi."""
    ours = {
        profile.name: simulate(graph.with_(arithmetic=Loihi(profile)), samples, EVERYTHING)
        for profile in (LOIHI2, CHIP)
    }
    loihi2, chip = ours.values()
    facts = {
        "seed": seed,
        "layers": len(chip.trains),
        "bits": sum(train.unpack().size for train in chip.trains.values()),
        "fired": sum(int(counts.sum()) for counts in chip.spike_counts.values()),
        "wrapped": sum(node.get(WRAPPED, 0) for node in chip.overflows.values()),
        "lava": BEYOND if BEYOND in kinds(loihi2) else apart(lava, loihi2),
        "nengo-loihi": ", ".join(sorted(FOREIGN & kinds(nengo))) or apart(nengo, chip),
        "lava and nengo-loihi": apart(lava, nengo),
        "switches": [name for name in SWITCHES if needed(name, graph, samples, chip)],
        "counted alike": wraps(nengo) == wraps(chip),
    }
    if brian is not None:
        free = simulate(graph.with_(arithmetic=Loihi(BRIAN)), samples, EVERYTHING)
        facts["Brian2Loihi"] = SATURATED if SATURATED in kinds(free) else apart(brian, free)
    return facts


def needed(switch, graph, samples, chip):
    """Whether the network computes something else on the chip's profile without one of its switches."""
    without = replace(CHIP, **{switch: getattr(LOIHI2, switch)})
    return bool(apart(simulate(graph.with_(arithmetic=Loihi(without)), samples, EVERYTHING), chip))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--graphs", type=int, default=500)
    options.add_argument("--parts", type=Path, default=Path("build/witnesses"))
    options.add_argument("--write", type=Path)
    order = options.parse_args()
    order.parts.mkdir(parents=True, exist_ok=True)
    entries, first = [], 0
    while len(entries) < order.graphs:
        file = order.parts / f"part-{first:06}.json"
        if not file.exists():
            begun = time.monotonic()
            found = part(range(first, first + AT_ONCE))
            write_json(file, {"seconds": time.monotonic() - begun, "entries": found})
        entries += json.loads(file.read_text())["entries"]
        first += AT_ONCE
        print(first, len(entries), [e["seed"] for e in entries[-AT_ONCE:] if wrong(e)], flush=True)
    if order.write:
        from witness_page import page

        page(entries[: order.graphs], order)
    return any(wrong(e) for e in entries)


def wrong(e):
    """Whether a witness differs from the engine and nothing says why."""
    return bool(
        any(isinstance(e.get(name), dict) and e[name] for name in ("lava", "nengo-loihi", "Brian2Loihi"))
        or (
            e["lava and nengo-loihi"]
            and not e["switches"]
            and isinstance(e["nengo-loihi"], dict)
            and isinstance(e["lava"], dict)
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
