"""Brian2Loihi as a third witness of Loihi 1, in an environment of its own; used by tests only.

Brian2Loihi 0.5.2 (MIT, on brian2, which is CeCILL-2.1), by the authors of Frontiers in Neuroinformatics 2022, 1015624.
`python tests/brian2_oracle.py` makes the environment.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.environments import Environment
from spikeport.graph import LIF
from spikeport_targets import watched
from spikeport_targets.entering import entering
from spikeport_targets.nengo_loihi.lowering import lower
from spikeport_targets.nengo_loihi.records import recorded
from spikeport_targets.nengo_loihi.routes import is_current, routes

ENVIRONMENT = Environment(
    "brian2-loihi",
    python=(3, 11),
    requirements=(
        "brian2-loihi==0.5.2",
        "brian2==2.7.1",
        "numpy==1.26.4",
        "cython==3.3.1",
        "jinja2==3.1.6",
        "markupsafe==3.0.4",
        "mpmath==1.3.0",
        "packaging==26.3",
        "pyparsing==3.3.3",
        "sympy==1.14.0",
        "setuptools==79.0.1",
    ),
    probe="brian2_loihi",
)
ERRORS = watched.Errors("Brian2Loihi", exception="SP640", time="SP641", memory="SP642", killed="SP643")
LEAST_EXPONENT = -7  # its exponents are -8 ... 7, of weights that are twice our mantissas


def takes(graph):
    """Whether it can hold a graph that nengo-loihi's check accepts: binary input, one number a layer, no bias."""
    if graph.entry.low < 0 or graph.entry.high > 1 or not graph.nodes_of(LIF):
        return False
    exponents = [getattr(node, "exponent", 0) for node in graph.nodes.values()]
    if min(exponents) < LEAST_EXPONENT or any(is_current(graph, way) for way in routes(graph)[0]):
        return False
    for node in graph.nodes_of(LIF).values():
        numbers = [node.threshold, node.decay, getattr(node, "current_decay", np.asarray(0))]
        if node.bias.any() or any(len(np.unique(number)) > 1 for number in numbers):
            return False
    return True


def run_all(jobs, tmp_path, seconds=3600.0):
    """The records of some graphs on their samples, with membranes."""
    plans = [lower(graph, entering(graph, samples), membranes=lambda name: True) for graph, samples in jobs]
    files = [tmp_path / f"plan-{place:05}" for place in range(len(plans))]
    for plan, file in zip(plans, files, strict=True):
        plan.write(file)
    watched.run(
        [str(ENVIRONMENT.interpreter()), "-I", "-B", str(Path(__file__).with_name("brian2_worker.py")), str(tmp_path)],
        tmp_path,
        ERRORS,
        seconds=seconds,
        memory=None,
        segments="spikeport_brian2_none_",
        where=lambda: "Brian2Loihi",
    )
    results = [plan.read(file) for plan, file in zip(plans, files, strict=True)]
    return [recorded(graph, result) for (graph, _), result in zip(jobs, results, strict=True)]


if __name__ == "__main__":
    print(ENVIRONMENT.install())
