"""Everything that stands between a graph and Xylo, and what only a simulator of it can do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import LIF, STATE_SHIFT, XYLO, CubaLIF, Graph, Loihi
from spikeport.graph.messages import wide_messages
from spikeport.graph.ranges import into, ranges
from spikeport.graph.xylo import EVENTS
from spikeport.mapping.population import Layout, layout
from spikeport.quantisation.xylo import other_neurons
from spikeport.target import clipped_thresholds, plain_output


def check(graph: Graph) -> list[Finding]:
    """Errors for what the chip does not compute, each with its mend; what it runs as something else; notes."""
    return examined(graph)[1]


def examined(graph: Graph) -> tuple[Layout | None, list[Finding]]:
    """Where the graph lies on the chip, and what `check` says."""
    if not isinstance(graph.arithmetic, Loihi):
        mend = "quantise the graph first: spikeport quantize --profile xylo"
        real = Finding("SP670", "Xylo computes with whole numbers, this graph holds real ones", mend=mend)
        return None, [real, *other_neurons(graph)]
    if findings := [*plain_output(graph, "Xylo"), *_format(graph)]:
        return None, findings
    place, findings = layout(graph)
    findings += [*_entering(graph), *_often(graph, place)]
    if place is not None and not findings:
        findings = [*_simulator_only(graph, place), *_saturating(graph), *wide_messages(graph)]
        findings += clipped_thresholds(graph)
    return place, findings


def _format(graph: Graph) -> Iterator[Finding]:
    """Neurons that are Loihi's, and states that end elsewhere."""
    assert isinstance(graph.arithmetic, Loihi)
    profile = graph.arithmetic.profile
    same = ("neuron", "state_bits", "fraction_bits", "accumulator_bits", "weight_shift")
    other = [name for name in same if getattr(profile, name) != getattr(XYLO, name)]
    if other or profile.weight_exponent[0] < 0:
        yield Finding(
            "SP672",
            f"the profile {profile.name!r} has {', '.join(other or ['weight_exponent'])} other than Xylo's",
            why="its neurons hold a current and a membrane of 16 bits, which decay by shifts.",
            mend="train a network for it (recipe vowels-xylo) and quantise: spikeport quantize --profile xylo",
        )


def _entering(graph: Graph) -> Iterator[Finding]:
    node = graph.entry
    if node.low < 0 or node.high > EVENTS:
        yield Finding(
            "SP673",
            f"values of {node.low:g} ... {node.high:g} enter; an input channel takes up to {EVENTS} events a step",
            f"node {graph.input!r}",
            why="the chip counts events, without a sign.",
            mend=f"give counts of 0 ... {EVENTS}, events of each sign in a channel of its own",
        )


def _often(graph: Graph, place: Layout | None) -> Iterator[Finding]:
    for name in place.hidden if place else ():
        node = graph.nodes[name]
        assert isinstance(node, LIF)
        if node.most_spikes != XYLO.most_spikes:
            yield Finding(
                "SP674",
                f"fires up to {node.most_spikes} times a step, a hidden neuron {XYLO.most_spikes} times",
                f"node {name!r}",
                why="neurons that fire once lie at the output: the last layer, behind hidden ones.",
                mend=f"train the layer with most_spikes = {XYLO.most_spikes}",
            )


def _simulator_only(graph: Graph, place: Layout) -> Iterator[Finding]:
    """What xylosim computes here and a chip could not be told."""
    for name in graph.nodes_of(LIF):
        node = graph.nodes[name]
        assert isinstance(node, LIF)
        if place.depth[name] and node.bias.any():
            what = f"its biases wait for the step {place.depth[name]}, when the first spikes come"
            yield _alone(name, what, "nothing where the first steps hold no events; or train without biases")
        if (node.threshold != node.threshold[:1]).any():
            yield Finding("SP674", "its thresholds vary over time", f"node {name!r}", mend="--thresholds best")
    if place.out is None:
        what = "spikes of hidden neurons are read, and what lies behind them is the host's"
        yield _alone(graph.output, what, "end with neurons that fire once a step, whose spikes are counted")


def _alone(name: str, what: str, mend: str) -> Finding:
    why = "the simulator does it, and a chip in the field could not."
    return Finding("SP676", f"{what}: in the simulator only", f"node {name!r}", why, mend, "substituted")


def _saturating(graph: Graph) -> Iterator[Finding]:
    """Layers whose currents could saturate, where the order of a step's events would count."""
    bounds, top = ranges(graph), XYLO.state_top >> STATE_SHIFT
    for name, node in graph.nodes_of(CubaLIF).items():
        x = into(graph, name, bounds)
        kept = float(np.max(node.current_decay)) / 4096
        most = float(x.size) * sum(kept**step for step in range(graph.timesteps))
        if most > top:
            yield Finding(
                "SP677",
                f"its current may reach {most:.3g} in the worst case, 16 bits hold {top}",
                f"node {name!r}",
                why="xylosim saturates the sum after each event; the engine adds a step's events first.",
                mend="nothing where the record counts no current that saturates between events",
                severity="note",
            )
