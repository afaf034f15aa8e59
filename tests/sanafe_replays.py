"""Random networks through SANA-FE's replay and our model of it: the same joules, operations, messages and chip time.

    python tests/sanafe_replays.py --graphs 200

Each network of the conformance generator is mapped with a layer a core, and with cores so small that messages cross
the mesh. What SANA-FE cannot take, and what has no mapping, is counted by its code.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass

from conformance.cases import case
from spikeport.costs import estimate
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.mapping import Mapping, find, traffic
from spikeport.mapping.fit import fit
from spikeport.mapping.latency import depth
from spikeport.mapping.replayed import played, seconds
from spikeport.target import Request
from spikeport_targets.sanafe.replay import replay

MODEL = "loihi1-sanafe2025"
FIRST = 5000  #: seed of the first network
KINDS = ("integers", "float32", "float64", "sanafe")
CLOSE = 1e-9  #: of the energy: both add up many float64 numbers


@dataclass(frozen=True)
class Pair:
    """Sums over all samples, by part: joules (synapse, soma, network), counts (operations, packets), seconds."""

    ours: dict[str, float]
    theirs: dict[str, float]

    @property
    def differences(self) -> list[str]:
        """Where they differ, in words."""
        return [
            f"{part}: {self.ours[part]:.12g} ours, {theirs:.12g} SANA-FE's"
            for part, theirs in self.theirs.items()
            if abs(self.ours[part] - theirs) > CLOSE * abs(theirs)
        ]


def cores_of(neurons):
    """Loihi 1 with cores of so many neurons."""
    chip = find("loihi1")
    limit = chip.limits["neurons"].model_copy(update={"value": neurons})
    return chip.model_copy(update={"limits": {**chip.limits, "neurons": limit}})


def pair(graph, x, neurons=1024):
    """Both accounts of one run, with cores of so many neurons."""
    mapping = Mapping(graph, fit(graph, cores_of(neurons)))
    record = simulate(graph, x, Request(events=True, trains=True))
    theirs = replay(mapping, x, record)
    sent = traffic(mapping, record, x)
    ours = estimate(graph, record, [MODEL], traffic=sent, samples=x, drain=depth(mapping.fit))[MODEL]
    joules = {name: energy.nominal * record.samples for name, energy in ours.breakdown.items()}
    counts = {name: count.nominal * record.samples for name, count in ours.counts.items()}
    return Pair(
        {
            "synapse": joules.get("synaptic operations", 0.0),
            "soma": joules["neuron updates"] + joules.get("spikes", 0.0),
            "network": sum(joules.get(name, 0.0) for name in ("messages", "hop east west", "hop north south")),
            "operations": round(counts.get("synaptic operations", 0.0)),
            "packets": round(counts.get("messages", 0.0)),
            "seconds": seconds(mapping, played(mapping, record, x)),
        },
        {
            **{part: theirs.energy[part] for part in ("synapse", "soma", "network")},
            "operations": theirs.synaptic_events,
            "packets": theirs.packets,
            "seconds": theirs.seconds,
        },
    )


def main() -> int:
    """Compare so many networks; 1 where any differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST)
    args = parser.parse_args()
    tally: Counter[str] = Counter()
    for number in range(args.graphs):
        network = case(KINDS[number % len(KINDS)], args.first + number)
        for neurons in (1024, 3):
            try:
                differences = pair(network.graph, network.samples, neurons).differences
            except SpikeportError as error:
                tally[f"refused, {error.code}"] += 1
                continue
            tally["differ" if differences else "agree"] += 1
            if differences:
                print(f"{network.name}, {neurons} neurons a core: {'; '.join(differences)}")
    print(", ".join(f"{name}: {count}" for name, count in tally.items()))
    return int("differ" in tally)


if __name__ == "__main__":
    sys.exit(main())
