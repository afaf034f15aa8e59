"""Everything that stands between a graph and nengo-loihi's emulator of Loihi 1, and what only an emulator can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, STATE_SHIFT, Conv, CubaLIF, Graph, Linear, Loihi, Profile, Readout, Scale
from spikeport.graph.accumulators import CURRENT_BITS, wide_sums, worst_current
from spikeport.graph.ranges import into, ranges
from spikeport.target import clipped_thresholds, foreign_neurons, lower_bounds, plain_output, several_spikes
from spikeport_targets.nengo_loihi.routes import Route, is_current, layers, routes, timing

STATE_BITS = 24  #: of membranes (nengo-loihi 1.1.0, builder/discretize.py: U_BITS and a sign)
ACCUMULATOR_BITS = 22  #: of a step's sums, which wrap (the same: Q_BITS and a sign)
BIAS_TOP = 4095 << 7  #: the largest bias of a compartment (the same: BIAS_MAX)
SYNAPSES = 20_000_000  #: unrolled; the emulator takes 8 bytes for each


def check(graph: Graph) -> list[Finding]:
    """Errors for what it cannot run, each with its mend; what it runs as something else; notes."""
    if not isinstance(graph.arithmetic, Loihi):
        mend = "quantise the graph first: spikeport quantize --profile loihi1"
        return [Finding("SP631", "Loihi 1 computes with whole numbers, this graph holds real ones", mend=mend)]
    profile = graph.arithmetic.profile
    ways, findings = routes(graph)
    findings += [
        *foreign_neurons(graph, "Loihi 1"),
        *several_spikes(graph, "Loihi 1"),
        *lower_bounds(graph, "Loihi 1"),
        *plain_output(graph, "Loihi 1"),
        *_neurons(graph),
        *_messages(graph, ways),
        *_state(profile),
        *_size(graph, ways),
    ]
    findings += [
        *_switches(graph, profile),
        *_emulator_only(graph, ways),
        *_hosted(graph, ways),
        *clipped_thresholds(graph),
    ]
    try:
        times = timing(graph, ways)
    except SpikeportError as error:
        return [*findings, *error.findings]
    waits = {(way.source, way.target): times.relays(way) for way in ways if not is_current(graph, way)}
    for (source, target), steps in waits.items():
        if steps and source != graph.input:
            what = f"its spikes wait {steps} steps for {target!r}, in as many relay neurons each"
            findings.append(Finding("SP638", what, f"node {source!r}", severity="note"))
    return findings


def _neurons(graph: Graph) -> Iterator[Finding]:
    for name, node in graph.nodes_of(LIF).items():
        where = f"node {name!r}"
        if type(node) not in (LIF, CubaLIF):
            yield Finding(
                "SP632", f"nengo-loihi has no {type(node).__name__}", where, mend="use LIF or CubaLIF neurons"
            )
            continue
        if node.reset != "zero":
            yield Finding(
                "SP632",
                f"reset {node.reset!r}: Loihi 1's compartments return to zero",
                where,
                mend="train with reset to zero",
            )


def _messages(graph: Graph, ways: Sequence[Route]) -> Iterator[Finding]:
    """A message is a spike: none carries a negative number."""
    node = graph.entry
    for way in ways:
        if is_current(graph, way):
            continue
        for name in way.before:
            scale = graph.nodes[name]
            if isinstance(scale, Scale) and scale.factor.min() < 0:
                mend = "fold it into the weights behind it"
                yield Finding("SP633", "a negative factor before a synapse", f"node {name!r}", MESSAGE, mend)
        if way.source == graph.input and node.low < 0:
            yield Finding(
                "SP633",
                f"values of {node.low:g} ... {node.high:g} enter the synapse {way.synapse!r} anew at every step",
                f"node {graph.input!r}",
                MESSAGE,
                "give events without negative values: one channel for each sign",
            )


MESSAGE = "a message of Loihi 1 is a spike, and several of them add up; none takes away."


def _state(profile: Profile) -> Iterator[Finding]:
    for what, bits, chip in (
        ("membranes", profile.state_bits, STATE_BITS),
        ("accumulators", profile.accumulator_bits, ACCUMULATOR_BITS),
        ("fractions of membranes", profile.fraction_bits, STATE_SHIFT),
    ):
        if bits not in (None, chip):
            yield Finding(
                "SP634",
                f"the profile {profile.name!r} has {what} of {bits} bits, Loihi 1's have {chip}",
                why="a value that leaves them would do so elsewhere.",
                mend=f"quantise for a profile with {chip} bits there, or use --target integer",
            )


def _size(graph: Graph, ways: Sequence[Route]) -> Iterator[Finding]:
    """The emulator's own bounds: memory, and sums of 32 bits."""
    total = 0
    for name in {way.synapse for way in ways if way.synapse}:
        node = graph.nodes[name]
        assert isinstance(node, Linear | Conv)
        total += node.weight.size * int(np.prod(graph.shapes[name][1:]))
    if total > SYNAPSES:
        yield Finding(
            "SP639",
            f"unrolled it has {total:,} synapses, {SYNAPSES:,} are taken at most",
            why="the emulator keeps each synapse apart and goes through them spike by spike.",
            mend="take a smaller network, or --target lava or integer",
        )
    bounds = ranges(graph)
    for name in layers(graph):
        largest = (bounds[name] if name not in graph.nodes_of(LIF, Readout) else into(graph, name, bounds)).size
        if largest * 2**STATE_SHIFT >= 2**31:
            yield Finding(
                "SP639",
                f"its sums may reach {largest:.3g}, and the emulator adds in 32 bits",
                f"node {name!r}",
                why="they would wrap in the emulator and not be counted.",
                mend="lower the weight exponent, or the weights, of the synapses before it",
            )


def _switches(graph: Graph, profile: Profile) -> Iterator[Finding]:
    """Where the profile says another arithmetic than Loihi 1's, and this network may feel it."""
    if profile.accumulator_bits is not None:
        yield from wide_sums(graph, refuses=False)
    bounds = ranges(graph)
    for name, node in graph.nodes_of(LIF).items():
        x = into(graph, name, bounds)
        most, current = x.size * 2**STATE_SHIFT, worst_current(node, x, profile)
        if profile.accumulator_bits is None and most >= 2 ** (ACCUMULATOR_BITS - 1):
            yield _switch(name, "its sums", most, ACCUMULATOR_BITS, "states no accumulator_bits")
        if isinstance(node, CubaLIF) and current >= 2 ** (CURRENT_BITS - 1):
            yield _switch(name, "its current", current, CURRENT_BITS, "has no word for it")
    for name, synapse in graph.nodes_of(Linear, Conv).items():
        if profile.weight_shift == "sum" and (synapse.weight.astype(np.int64) % 2 ** max(-synapse.exponent, 0)).any():
            yield Finding(
                "SP637",
                f"its weights lose their low {-synapse.exponent} bits one by one; the profile {profile.name!r} shifts "
                'their sum (weight_shift = "sum")',
                f"node {name!r}",
                why="Loihi 1 shifts each weight before it adds them, so that sums and spikes may differ.",
                mend='quantise for a profile with weight_shift = "each", or with exponents of at least 0',
                severity="substituted",
            )


def _switch(name: str, what: str, most: float, bits: int, profile: str) -> Finding:
    return Finding(
        "SP637",
        f"{what} may reach {most:.3g}, Loihi 1 wraps at {2 ** (bits - 1):,} ({bits} bits): the profile {profile}",
        f"node {name!r}",
        why="the record counts what wrapped: where it counts none, nothing did.",
        mend="lower the weight exponent, or the weights, of the synapses before it",
        severity="substituted",
    )


def _emulator_only(graph: Graph, ways: Sequence[Route]) -> Iterator[Finding]:
    """What is written into the emulator between two steps, and a chip could not be told."""
    bounds = ranges(graph)
    hosted = {way.target for way in ways if is_current(graph, way)}
    for name, node in graph.nodes_of(LIF).items():
        largest = into(graph, name, bounds).size * 2**STATE_SHIFT + int(np.abs(node.bias).max())
        reasons = {
            "thresholds vary over time": bool((node.threshold != node.threshold[:1]).any()),
            "a threshold is zero": bool((node.threshold == 0).any()),
            "the host's sums enter a current that decays": name in hosted and isinstance(node, CubaLIF),
            "the host's sums may be more than a bias holds": name in hosted and largest > BIAS_TOP,
        }
        if any(reasons.values()):
            yield Finding(
                "SP636",
                f"{' and '.join(reason for reason, holds in reasons.items() if holds)}: on the emulator only",
                f"node {name!r}",
                why="it is written there between two steps, which nobody can do on the chip.",
                mend="nothing for a comparison; for the chip binary input, or quantise for the profile loihi1",
                severity="substituted",
            )


def _hosted(graph: Graph, ways: Sequence[Route]) -> Iterator[Finding]:
    """An analog first layer."""
    source = graph.entry
    for synapse in dict.fromkeys(way.synapse for way in ways if way.synapse and is_current(graph, way)):
        yield Finding(
            "SP635",
            f"the sums of an input of {source.low:g} ... {source.high:g} enter its neurons as a constant current",
            f"node {synapse!r}",
            why="messages are spikes; the sums are the same at every step, as a bias set for each sample would be.",
            mend="nothing, or give binary input",
            severity="substituted",
        )
