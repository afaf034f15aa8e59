"""Everything that stands between a graph and Speck, and what only a simulator of it can do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import (
    DECAY_ONE,
    LIF,
    SPECK,
    STATE_SHIFT,
    Conv,
    CubaLIF,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Node,
    Norm,
    Pool,
    Readout,
    Scale,
    Synapse,
)
from spikeport.graph.hosted import spikes
from spikeport.graph.messages import wide_messages
from spikeport.graph.ranges import into, ranges
from spikeport.mapping.seating import seats, untold
from spikeport.target import clipped_thresholds, plain_output, several_spikes

KNOWN = (Input, Linear, Conv, LIF, Pool, Flatten, Readout)
CHIP = "speck2f"  #: whose shapes of kernels and pools are checked
EXACT = 2**53  #: sinabs' layers compute in float64 here, which holds every whole number up to there


def check(graph: Graph) -> list[Finding]:
    """Errors for what the chip does not compute, each with its mend; what it runs as something else; notes."""
    if not isinstance(graph.arithmetic, Loihi):
        mend = "quantise the graph first: spikeport quantize --profile speck"
        real = Finding("SP653", "Speck computes with whole numbers, this graph holds real ones", mend=mend)
        return [real, *_trained(graph)]
    unknown = [*_unknown(graph), *plain_output(graph, "Speck")]
    if unknown:
        return unknown
    findings = [*several_spikes(graph, "Speck"), *_places(graph), *_format(graph), *_neurons(graph)]
    if not findings:
        findings = [*_simulator_only(graph), *wide_messages(graph), *clipped_thresholds(graph), ASYNCHRONOUS]
    return findings


#: the order of events within a step is the chip's own
ASYNCHRONOUS = Finding(
    "SP658",
    "the chip has no steps: a neuron fires as soon as an event takes it to its threshold",
    why="here all events of a step arrive before a neuron is asked; where weights of both signs meet, order decides.",
    mend="a run says how much of it there is, on its first samples; for more spikeport_targets.speck.reorder",
    severity="note",
)


def _unknown(graph: Graph) -> Iterator[Finding]:
    mends: dict[type[Node], str] = {Norm: "fold it first: passes.fold_norm", Scale: "fold it into the weights"}
    for name, node in graph.nodes.items():
        if type(node) not in KNOWN:
            what = f"Speck has no {type(node).__name__}"
            yield Finding("SP654", what, f"node {name!r}", mend=mends.get(type(node), "take it out"))
        elif isinstance(node, Conv | Pool) and len(node.kernel) > 2:
            yield Finding("SP654", "Speck's maps have two axes", f"node {name!r}", mend="use --target integer")


def _places(graph: Graph) -> Iterator[Finding]:
    """A core has one kernel, and its neurons behind it; between cores events are added and pooled."""
    for name, node in graph.nodes.items():
        where = f"node {name!r}"
        senders = [graph.nodes[source] for source in graph.sources(name)]
        if isinstance(node, LIF | Readout):
            if len(senders) != 1 or not isinstance(senders[0], Synapse):
                yield Finding(
                    "SP654",
                    f"{len(senders)} nodes lead into these neurons, and not one synapse alone",
                    where,
                    why="a core of Speck has one kernel.",
                    mend="add the spikes before one synapse, or put neurons between",
                )
        elif any(isinstance(sender, Synapse) for sender in senders):
            what = f"a {type(node).__name__} behind a synapse, without neurons in between"
            yield Finding("SP654", what, where, mend="put it behind the neurons, or before the synapse")
        if isinstance(node, Synapse) and node.exponent != 0:
            yield Finding(
                "SP656", f"its weights are shifted by {node.exponent}", where, mend="quantise for the profile speck"
            )


def _format(graph: Graph) -> Iterator[Finding]:
    """Membranes that end elsewhere would be other membranes."""
    assert isinstance(graph.arithmetic, Loihi)
    profile = graph.arithmetic.profile
    if profile.state_top != SPECK.state_top or profile.accumulator_bits is not None:
        yield Finding(
            "SP656",
            f"the profile {profile.name!r} has other membranes or sums than Speck, whose 16 bits hold whole sums",
            why="a membrane that saturates, or a sum that wraps, would do so elsewhere.",
            mend="quantise for the profile speck: spikeport quantize --profile speck",
        )


def _neurons(graph: Graph) -> Iterator[Finding]:
    top = SPECK.state_top >> STATE_SHIFT
    for name, node in graph.nodes_of(LIF).items():
        reasons = {
            "they have a current that decays": isinstance(node, CubaLIF),
            "their membranes leak": bool((node.decay != DECAY_ONE).any()),
            f"their reset is {node.reset!r}": node.reset not in ("zero", "subtract"),
            "their thresholds vary over time": bool((node.threshold != node.threshold[:1]).any()),
            "their thresholds vary over channels or neurons": bool(
                (node.threshold[0] != node.threshold[0].flat[0]).any()
            ),
            f"a threshold is {top} or more": bool((node.threshold >= top).any()),
            "their biases are no whole sums of 8 bits": _wide_bias(node),
            "their lower bounds are no whole sum, one a layer": _uneven_bound(node),
        }
        said = [reason for reason, holds in reasons.items() if holds]
        if said:
            yield Finding(
                "SP655",
                f"neurons that Speck's are not: {'; '.join(said)}",
                f"node {name!r}",
                why="its neurons integrate and fire, with one threshold a layer and a bias a channel.",
                mend='train integrate-and-fire neurons (architecture.neuron = "if", as in the recipe digits-if), and '
                "quantise with --profile speck --thresholds best",
            )


def _trained(graph: Graph) -> Iterator[Finding]:
    """What of a trained network's neurons quantisation cannot make Speck's, and schedules, for which it has options."""
    for name, node in graph.nodes_of(LIF).items():
        if isinstance(node, CubaLIF) or (node.decay != 1).any() or node.reset not in ("zero", "subtract"):
            yield Finding(
                "SP655",
                "neurons that leak, hold a current, or reset otherwise",
                f"node {name!r}",
                why="Speck's integrate and fire; they return to zero or lose a threshold.",
                mend='train integrate-and-fire neurons (architecture.neuron = "if", as in the recipe digits-if)',
            )
        if (node.threshold != node.threshold[:1]).any():
            yield Finding(
                "SP655",
                "thresholds that vary over time",
                f"node {name!r}",
                why="a layer of Speck has one threshold.",
                mend="spikeport quantize --profile speck --thresholds best",
            )


def _uneven_bound(node: LIF) -> bool:
    low = node.lower_bound
    return low is not None and bool((low != low.flat[0]).any() or (low % (1 << STATE_SHIFT)).any())


def _wide_bias(node: LIF) -> bool:
    sums, rest = np.divmod(node.bias, 1 << STATE_SHIFT)
    per_neuron = node.bias.ndim > 1
    return bool(rest.any() or (sums < -128).any() or (sums > 127).any() or per_neuron)


def _simulator_only(graph: Graph) -> Iterator[Finding]:
    """What sinabs' layers compute and a chip could not hold or be sent."""
    node, bounds = graph.entry, ranges(graph)
    if node.coding == "direct" and not spikes(node.low, node.high):
        what = f"values of {node.low:g} ... {node.high:g} enter at every step"
        yield _alone(graph.input, what, "the chip is sent events: give spikes, or the events of a sensor")
    elif node.low < 0:
        yield _alone(
            graph.input, f"values down to {node.low:g} enter", "give events of each sign in a channel of its own"
        )
    for name, layer in graph.nodes_of(LIF).items():
        if layer.reset == "subtract":
            what = (
                "a neuron fires once a step and keeps what is left, with no end at the top, "
                "while the chip fires as often as its threshold fits in"
            )
            yield _alone(name, what, "train with reset to zero")
        if into(graph, name, bounds).size >= EXACT:
            yield Finding("SP656", f"its sums may reach {into(graph, name, bounds).size:.3g}", f"node {name!r}")
    for name, readout in graph.nodes_of(Readout).items():
        del readout
        yield _alone(name, "its sums are formed and added up by the host", "end with neurons whose spikes are counted")
    for name, why in untold(graph, seats()[CHIP].shapes):
        yield _alone(name, why, "nothing for a comparison; for the chip see spikeport fit --chip speck2f")


def _alone(name: str, what: str, mend: str) -> Finding:
    why = "sinabs' layers compute it, and the chip could not."
    return Finding("SP657", f"{what}: in the simulator only", f"node {name!r}", why, mend, "substituted")
