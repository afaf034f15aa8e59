"""The target `lava`: Lava's fixed-point (or floating-point) models, a process a layer, in a child process."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

import numpy as np

from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import LIF, STATE_SHIFT, Array, Graph, Input, Loihi, Readout, over_neurons
from spikeport.record import Record, Train, join
from spikeport.targets import Availability, Request, check_input
from spikeport_targets.lava.child import execute
from spikeport_targets.lava.cost import samples_at_once, time_limit
from spikeport_targets.lava.layout import from_lava
from spikeport_targets.lava.plan import Plan, plan
from spikeport_targets.lava.support import check, wide_sums

INSTALL = "pip install 'spikeport[lava]' && pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
KINDS = ("membrane saturated", "sum beyond 24 bits")  #: the order in which ScheduledLIF counts them


@dataclass(frozen=True)
class LavaTarget:
    """Intel's Lava 0.10, the reference for Loihi's bits."""

    name: str = "lava"

    def availability(self) -> Availability:
        """Looks at what is installed; never imports Lava, which would keep this process from ending."""
        try:
            version = metadata.version("lava-nc")
        except metadata.PackageNotFoundError:
            return Availability(ready=False, why="lava-nc is not installed", mend=INSTALL)
        if not sys.platform.startswith("linux"):
            return Availability(False, version, "Lava's child processes are looked after on Linux only", "use Linux")
        if version != "0.10.0":
            return Availability(False, version, f"lava-nc {version} is not the release that was measured", INSTALL)
        if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
            why = f"numpy {np.__version__} has no np.reshape(newshape=), which Lava's ports call"
            return Availability(False, version, why, "pip install 'numpy<2.4'")
        missing = [name for name in ("networkx", "asteval", "scipy") if find_spec(name) is None]
        if missing:
            return Availability(False, version, f"Lava needs {', '.join(missing)}", INSTALL)
        return Availability(ready=True, version=version)

    def check(self, graph: Graph) -> list[Finding]:
        """Errors for what Lava cannot run, notes for what needs a process of ours; stock nodes are not mentioned."""
        return check(graph)

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """Stream the samples back to back through Lava.

        Raises the errors of `check`, SP600 where Lava is not available, SP620 to SP623 where the run fails.
        """
        findings = raise_errors(check(graph))
        available = self.availability()
        if not available.ready:
            fail("SP600", available.why, where="target 'lava'", mend=available.mend)
        total = check_input(graph, samples)
        stream = entering(graph, samples)
        size = request.batch or samples_at_once(graph, total)
        seconds = request.seconds or time_limit(graph, total)
        begun = time.perf_counter()
        records = []
        for start in range(0, total, size):
            part = stream[start : start + size]
            left = seconds - (time.perf_counter() - begun)

            def shown(done: int, steps: int, start: int = start, count: int = len(part)) -> None:
                request.progress(start + count * done // steps, total)

            planned = plan(graph, part, membranes=request.membranes)
            with execute(planned, max(left, 1.0), request.memory, shown) as logs:
                records.append(recorded(graph, planned, logs, len(part), request))
        notes = (*findings, *wide_sums(graph))
        return join([Record(**{**vars(r), "findings": notes}) for r in records])


def entering(graph: Graph, samples: Array) -> Array:
    """The samples as [N, T, *input], integers in units of the input, or floats."""
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    values = np.asarray(samples)
    if isinstance(graph.arithmetic, Loihi):
        values = np.rint(values.astype(np.float64) / node.unit).astype(np.int64)
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        if values.size and (values.min() < node.low or values.max() > node.high):
            fail(
                "SP504",
                f"input spans {low} ... {high} units of {float(node.unit):g}, the graph was made for "
                f"{node.low:g} ... {node.high:g}",
                where=f"node {graph.input!r}",
                mend="scale the input as the calibration data were, or quantise again with data that span it",
            )
    if node.coding == "events":
        return values.swapaxes(0, 1)
    return np.repeat(values[:, None], graph.timesteps, axis=1)


def recorded(graph: Graph, planned: Plan, logs: Mapping[str, Array], count: int, request: Request) -> Record:
    """The Record of one stream: each layer's rows begin at its depth."""
    steps = graph.timesteps
    depth = planned.pipeline.depth

    def unpacked(name: str, log: str) -> Array:
        rows = logs[log][depth[name] : depth[name] + count * steps]
        shape = graph.shapes[name]
        return from_lava(rows, shape).reshape(count, steps, *shape).swapaxes(0, 1)

    neurons = graph.nodes_of(LIF)
    spikes = {name: unpacked(name, f"spikes/{name}") for name in neurons}
    overflows = {
        name: {kind: int(n) for kind, n in zip(KINDS, logs[f"overflow/{name}"], strict=True) if n}
        for name in neurons
        if f"overflow/{name}" in logs
    }
    return Record(
        target="lava",
        outputs=read_out(graph, unpacked(graph.output, "output")),
        neurons={name: node.size for name, node in neurons.items()},
        spike_counts={n: s.reshape(steps, -1).sum(1, dtype=np.int64) for n, s in spikes.items()},
        trains={name: Train.pack(value) for name, value in spikes.items()} if request.trains else {},
        membranes={n: np.array(unpacked(n, f"membrane/{n}")) for n in neurons} if request.membranes else {},
        overflows={name: kinds for name, kinds in overflows.items() if kinds},
    )


def read_out(graph: Graph, output: Array) -> Array:
    """[T, B, *output] to [B, *output]: the readout's sum over time, or how often each output neuron fired."""
    node = graph.nodes[graph.output]
    if not isinstance(node, Readout):
        return np.asarray(output.sum(0))
    integers = isinstance(graph.arithmetic, Loihi)
    arriving = output.astype(np.int64) << STATE_SHIFT if integers else output.astype(np.float64)
    bias = over_neurons(node.bias, node.shape).astype(arriving.dtype)
    weight = node.weight.astype(arriving.dtype).reshape(-1, *(1,) * (output.ndim - 1))
    return np.asarray((weight * (arriving + bias)).sum(0))
