"""What each witness keeps of one large sum: one neuron, one step, no threshold that it could pass; or, with
``--currents``, of a current that outlasts its steps."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import brian2_oracle
from loihi1_graphs import CHIP
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, CubaLIF, Graph, Input, Linear, Loihi
from spikeport.target import Request
from spikeport_targets.lava.target import run_all as on_lava
from spikeport_targets.nengo_loihi.target import run_all as on_nengo

EVERYTHING = Request(trains=True, membranes=True)
#: sums in membrane units (64 each): the accumulator's edge, twice it, the current's and the membrane's edge, beyond
SUMS = (2**21 - 64, 2**21, -(2**21), -(2**21) - 64, 2**22, 2**23 - 64, 2**23, 2**23 + 2**21)
SHIFTED = ((3, -1), (-3, -1), (5, -2), (-5, -2), (127, -7))  # mantissa and exponent; a hundred such are added


def one_neuron(weights, exponent, profile):
    """A neuron that gets all these weights at once, in its second step nothing."""
    numbers = {"decay": np.asarray(4096), "threshold": np.full(2, 2**17 - 1), "bias": np.asarray(0), "compare": ">"}
    nodes = {
        "input": Input((len(weights),), "events", low=0, high=1),
        "synapse": Linear(np.asarray([weights], np.int8), exponent=exponent),
        "neuron": LIF((1,), **numbers),
    }
    samples = np.zeros((2, 1, len(weights)))
    samples[0] = 1
    return Graph.chain(nodes, 2, arithmetic=Loihi(profile)), samples


def weights_of(total):
    """Weights that add up to ``total`` units, with the smallest exponent that leaves at most 2,000 of them."""
    exponent = next(e for e in range(8) if total % 2**e == 0 and abs(total) / 2**e / 127 < 2000)
    units, sign = abs(total) // 2**exponent, int(np.sign(total))
    return [sign * 127] * (units // 127) + [sign * (units % 127)], exponent


def kept(cases):
    """What the membrane is after the first step, for each case and witness; networks by ``cases``: profile -> job."""
    jobs = [cases(profile) for profile in (LOIHI2, CHIP)]
    lava, nengo = on_lava([jobs[0]], EVERYTHING), on_nengo([jobs[1]], EVERYTHING)
    with tempfile.TemporaryDirectory() as folder:
        brian = brian2_oracle.run_all([jobs[1]], Path(folder))
    engine = [simulate(graph, samples, EVERYTHING) for graph, samples in jobs]
    return [int(record.membranes["neuron"][0, 0, 0]) for record in (*lava, engine[0], *nengo, engine[1], *brian)]


def rows():
    """Sums, then shifts: the case, and what Lava, ours, nengo-loihi, ours and Brian2Loihi keep."""
    for total in SUMS:
        weights, exponent = weights_of(total // 64)
        yield f"{total:,}", kept(lambda profile, w=weights, e=exponent: one_neuron(w, e, profile))
    for mantissa, exponent in SHIFTED:
        case = f"100 weights of {mantissa} · 2^{exponent}"
        yield case, kept(lambda profile, m=mantissa, e=exponent: one_neuron([m] * 100, e, profile))


def currents(steps=6):
    """A current that loses 1/4096 a step while nearly 2^21 arrive in each: every witness's membrane over time."""
    weights, exponent = weights_of((2**21 - 64) // 64)
    numbers = {"decay": np.asarray(1), "current_decay": np.asarray(4095), "threshold": np.full(steps, 2**17 - 1)}

    def job(profile):
        graph, _ = one_neuron(weights, exponent, profile)
        neuron = CubaLIF((1,), bias=np.asarray(0), compare=">", **numbers)
        chain = {**graph.nodes, "neuron": neuron}
        return Graph.chain(chain, steps, arithmetic=Loihi(profile)), np.ones((steps, 1, len(weights)))

    lava, nengo = on_lava([job(LOIHI2)], EVERYTHING), on_nengo([job(CHIP)], EVERYTHING)
    with tempfile.TemporaryDirectory() as folder:
        brian = brian2_oracle.run_all([job(CHIP)], Path(folder))
    records = {
        "Lava": lava[0],
        "nengo-loihi": nengo[0],
        "Brian2Loihi": brian[0],
        "ours": simulate(*job(CHIP), EVERYTHING),
    }
    for name, record in records.items():
        yield name, [int(value) for value in record.membranes["neuron"].ravel()]


if __name__ == "__main__":
    for case, values in currents() if "--currents" in sys.argv else rows():
        print(case, *(f"{value:,}" for value in values), sep=" | ", flush=True)
