"""Random networks as Loihi 1 can hold them, and in which bits two records differ."""

from __future__ import annotations

from collections import Counter

import numpy as np

from random_graphs import random_graph
from spikeport.graph import LIF, Conv, CubaLIF, Linear
from spikeport_targets.nengo_loihi.checks import check


def loihi1_job(seed):
    """A random graph and samples, with reset to zero; of every third the numbers are one a layer, without a bias."""
    graph, samples = random_graph(seed, integers=True)
    rng = np.random.default_rng(seed)
    changes = {}
    for name, node in graph.nodes.items():
        if isinstance(node, LIF):
            changes[name] = plain(node, rng) if seed % 3 == 0 else node.with_(reset="zero")
        elif isinstance(node, Conv | Linear):
            changes[name] = node.with_(exponent=max(node.exponent, 0))
    return graph.replace(changes), samples


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
    every = {seed: loihi1_job(seed) for seed in seeds}
    return {seed: job for seed, job in every.items() if not refused(job[0])}


def apart(a, b):
    """How many spikes, membranes and outputs differ; empty where none does."""
    counts = Counter(
        spikes=sum(int((a.trains[name].unpack() != b.trains[name].unpack()).sum()) for name in b.trains),
        membranes=sum(int((a.membranes[name] != b.membranes[name]).sum()) for name in b.membranes),
        outputs=int((a.outputs != b.outputs).sum()),
    )
    return +counts
