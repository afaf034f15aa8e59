"""Random networks as Loihi 1 can hold them, and in which bits two records differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from random_graphs import random_graph
from spikeport.graph import LIF, LOIHI2, CubaLIF, Loihi
from spikeport.graph.loihi import WRAPPED
from spikeport_targets.nengo_loihi.checks import check

SWITCHES = {"accumulator_bits": 22, "weight_shift": "each"}  # what Loihi 1 has and Lava's integers have not
CHIP = replace(LOIHI2, name="loihi1 with schedules", **SWITCHES)


def job(seed):
    """A random graph and samples, with reset to zero; every third is plain: see `plain`, and its input is binary."""
    graph, samples = random_graph(seed, integers=True)
    rng = np.random.default_rng(seed)
    changes = {}
    for name, node in graph.nodes.items():
        if isinstance(node, LIF):
            changes[name] = plain(node, rng) if seed % 3 == 0 else node.with_(reset="zero")
    if seed % 3 == 0:
        changes[graph.input] = graph.entry.with_(low=0.0, high=1.0)
        samples = (rng.random(samples.shape) < 0.4) * graph.entry.unit
    return graph.replace(changes).with_(arithmetic=Loihi(CHIP)), samples


def plain(node, rng):
    """One constant threshold and one decay a layer, and no bias."""
    numbers = {
        "threshold": np.full(node.timesteps, rng.integers(1, 300)),
        "decay": np.asarray(rng.integers(1, 4097)),
        "bias": np.asarray(0),
        "reset": "zero",
    }
    if isinstance(node, CubaLIF):
        numbers["current_decay"] = np.asarray(rng.integers(0, 4096))
    return node.with_(**numbers)


def refused(graph):
    """The codes of the errors that nengo-loihi's check has for a graph."""
    return {finding.code for finding in check(graph) if finding.severity == "error"}


def jobs(seeds):
    """Those graphs of the seeds that Loihi 1 can hold, with their samples."""
    every = {seed: job(seed) for seed in seeds}
    return {seed: (graph, samples) for seed, (graph, samples) in every.items() if not refused(graph)}


def apart(a, b):
    """How many spikes, membranes and outputs differ; empty where none does."""
    counts = Counter(
        spikes=sum(int((a.trains[name].unpack() != b.trains[name].unpack()).sum()) for name in b.trains),
        membranes=sum(int((a.membranes[name] != b.membranes[name]).sum()) for name in b.membranes),
        outputs=int((a.outputs != b.outputs).sum()),
    )
    return +counts


def wraps(record):
    """How often the sums of each layer wrapped."""
    return {name: node[WRAPPED] for name, node in record.overflows.items() if WRAPPED in node}
