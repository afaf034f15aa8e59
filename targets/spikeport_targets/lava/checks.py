"""Everything that stands between a graph and Lava, and what runs otherwise than the graph says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, STATE_SHIFT, Conv, Graph, Loihi, Norm, Pool, Readout, Real, Synapse, accumulators
from spikeport.graph.accumulators import CURRENT_BITS, worst_current
from spikeport.graph.messages import wide_messages
from spikeport.graph.ranges import into, ranges
from spikeport.graph.shifts import shift_each
from spikeport.passes.align_delays import align_delays
from spikeport.target import clipped_thresholds, foreign_neurons, plain_output, several_spikes
from spikeport_targets.lava.current import first_synapse, substituted, with_constant_current
from spikeport_targets.lava.support import PLACE, placements

STATE_BITS = 24  #: of membrane and current (Lava 0.10, proc/lif/models.py; ours in processes/models.py)


def check(graph: Graph) -> list[Finding]:
    """Everything that stands in the way, and a note for every node that needs a process of ours."""
    findings = [*_unknown(graph), *_biased_synapses(graph), *_messages(graph), *_state(graph), *_accumulators(graph)]
    findings += [*foreign_neurons(graph, "Lava"), *several_spikes(graph, "Lava"), *plain_output(graph, "Lava")]
    findings += [*_pipelined(graph), *substituted(graph), *_wider(graph), *clipped_thresholds(graph)]
    for name, place in placements(with_constant_current(shift_each(graph))).items():
        if not place.stock and not isinstance(graph.nodes[name], Readout):
            what = f"runs as our process {place.process}, since {place.why}"
            findings.append(Finding("SP602", what, f"node {name!r}", severity="note"))
    return findings


def _unknown(graph: Graph) -> Iterator[Finding]:
    for name, node in graph.nodes.items():
        if type(node) not in PLACE:
            mend = "fold it first: passes.fold_norm" if isinstance(node, Norm) else "take it out"
            yield Finding("SP610", f"Lava cannot run a {type(node).__name__}", f"node {name!r}", mend=mend)
        elif isinstance(node, Conv | Pool) and len(node.kernel) > 2:
            what = f"Lava's maps have two axes, a {type(node).__name__} over {len(node.kernel)} has none to run it"
            yield Finding("SP610", what, f"node {name!r}", mend="use --target integer, or ONNX")


def _biased_synapses(graph: Graph) -> Iterator[Finding]:
    for name, node in graph.nodes_of(Synapse).items():
        if node.bias is not None and isinstance(graph.arithmetic, Real):
            yield Finding(
                "SP610",
                "Lava's connections have no bias",
                f"node {name!r}",
                mend="move it into the neurons: passes.move_bias",
            )


def _messages(graph: Graph) -> Iterator[Finding]:
    """Messages of one bit turn an input of 2 into 1; wider ones carry whatever comes (Lava does not look at it)."""
    if not isinstance(graph.arithmetic, Loihi):
        return
    if graph.arithmetic.profile.message_bits > 1:
        yield from wide_messages(graph)
        return
    bounds = ranges(graph)
    for name in [each for each in graph.nodes_of(Synapse) if each != first_synapse(graph)]:
        x = into(graph, name, bounds)
        if x.low < 0 or x.high > 1:
            yield Finding(
                "SP613",
                f"gets values of {x.low:g} ... {x.high:g}, and messages of the profile "
                f"{graph.arithmetic.profile.name!r} hold 0 and 1",
                f"node {name!r}",
                why="Lava would turn every value but 0 into 1.",
                mend="use the profile loihi2, or a network whose synapses see spikes only",
            )


def _accumulators(graph: Graph) -> Iterator[Finding]:
    """Lava's sums have no accumulator that wraps where the profile's does."""
    for finding in accumulators.wide_sums(graph):
        mend = "use smaller exponents or fewer weight bits, or --target integer"
        yield replace(finding, severity="error", why="Lava would not wrap such a sum there.", mend=mend)


def _state(graph: Graph) -> Iterator[Finding]:
    """Lava's membranes saturate at 24 bits, whatever the profile says."""
    if isinstance(graph.arithmetic, Loihi) and graph.arithmetic.profile.state_top != 2 ** (STATE_BITS - 1) - 1:
        profile = graph.arithmetic.profile
        yield Finding(
            "SP614",
            f"the profile {profile.name!r} has membranes of {profile.state_bits} bits, {profile.fraction_bits} of them "
            f"below a sum; Lava's have {STATE_BITS}, and {STATE_SHIFT} of them",
            why="a membrane that saturates would do so elsewhere.",
            mend=f"quantise for a profile with state_bits = {STATE_BITS}, or use --target integer",
        )


def _wider(graph: Graph) -> Iterator[Finding]:
    """Lava's floating-point models know one width."""
    if isinstance(graph.arithmetic, Real) and graph.arithmetic.dtype == "float32":
        yield Finding(
            "SP603",
            "runs in float64, the graph's numbers are float32",
            severity="substituted",
            why="a membrane within the rounding error of its threshold may fall on the other side.",
            mend="compare with margins, or make the graph float64",
        )


def _pipelined(graph: Graph) -> Iterator[Finding]:
    try:
        align_delays(graph)
    except SpikeportError as error:
        yield from error.findings


def wide_sums(graph: Graph) -> Iterator[Finding]:
    """A note for each layer whose sums could pass what Lava holds, where Lava wraps and does not count."""
    if not isinstance(graph.arithmetic, Loihi):
        return
    bounds = ranges(graph)
    placed = placements(graph)
    for name in graph.nodes_of(LIF, Readout):
        node, x = graph.nodes[name], into(graph, name, bounds)
        current = x.shifted(STATE_SHIFT).size
        if isinstance(node, LIF):
            current = worst_current(node, x, graph.arithmetic.profile)
        stock_neuron = isinstance(node, LIF) and placed[name].stock
        if current >= 2 ** (CURRENT_BITS - 1 if stock_neuron else 31 + STATE_SHIFT):
            yield Finding(
                "SP624",
                f"its sums may reach {current / 2**STATE_SHIFT:.3g}, more than Lava holds here",
                f"node {name!r}",
                why="Lava would wrap such a sum and not say so; the integer engine counts them at its neurons.",
                mend="compare with the integer engine: where it counts no overflow, none happened",
                severity="note",
            )
