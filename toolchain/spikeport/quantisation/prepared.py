"""Networks in the form that integers can take."""

from __future__ import annotations

from dataclasses import replace

from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import ALIF, LOIHI2, Graph, Profile, Real, Scale, Synapse
from spikeport.graph.adaptive import no_adaptation
from spikeport.passes.fold_gain import fold_gain
from spikeport.passes.fold_norm import fold_norm
from spikeport.passes.fold_pool import fold_pool
from spikeport.passes.merge_synapses import merge_synapses
from spikeport.passes.move_bias import move_bias
from spikeport.passes.raise_thresholds import KEY, raise_thresholds
from spikeport.quantisation.common_units import common_units
from spikeport.quantisation.fold_scale import fold_scale
from spikeport.quantisation.layers import separate
from spikeport.quantisation.loops import loose_states
from spikeport.quantisation.step_affine import whole_gains
from spikeport.quantisation.xylo import late_currents


def prepare(graph: Graph, profile: Profile = LOIHI2) -> Graph:
    """The graph in the form that integers can take: no norm, no average, no gain, biases in the neurons, thresholds
    above zero where they can be raised.

    Xylo's neurons have the gain of their currents (`xylo.late_currents`). Raises SP400 for a graph that holds integers
    already, SP131 for neurons that adapt, SP435 for gains a timestep that stand in no whole multiples, SP437 for
    states outside of neurons, SP134 for neurons that are none of Xylo's.
    """
    if not isinstance(graph.arithmetic, Real):
        fail("SP400", "the graph holds integers already", mend="quantise the graph of real numbers")
    raise_errors(loose_states(graph))
    raise_errors(replace(no_adaptation(node), where=f"node {name!r}") for name, node in graph.nodes_of(ALIF).items())
    folded = fold_gain(fold_pool(merge_synapses(fold_norm(graph))))
    ready = common_units(move_bias(fold_scale(whole_gains(folded))))
    return separate(late_currents(ready) if profile.neuron == "xylo" else raise_thresholds(ready))


def raised_thresholds(real: Graph) -> list[Finding]:
    """SP440 for each layer of ``real`` whose membranes are measured from a lower place (`raise_thresholds`)."""
    why = "a mantissa is unsigned. A larger bias, thresholds and resets that move with it give the same spikes."
    mend = "nothing, where the target resets to a value"
    least = real.provenance.get(KEY, {})
    what = "thresholds reach down to {:.3g}; membranes are measured from a lower place"
    return [_note("SP440", what.format(low), name, why, mend) for name, low in least.items()]


def doubled_synapses(graph: Graph, real: Graph) -> list[Finding]:
    """SP441 for each scale of ``graph`` that is a synapse now."""
    what = "it is a synapse of its own in integers, as large as the one before it"
    why = "a sum is no message between cores, and it goes to others as it is, too."
    mend = "nothing if the size does not matter: neurons of two signs have twice the weights"
    names = [name for name in graph.nodes_of(Scale) if isinstance(real.nodes.get(name), Synapse)]
    return [_note("SP441", what, name, why, mend) for name in names]


def merged_synapses(graph: Graph, real: Graph) -> list[Finding]:
    """SP436 for each synapse of ``graph`` that the one behind it took in."""
    what = "it and the synapse behind it are one in integers"
    why = "a sum is no message between cores: neurons, or nothing, must lie between two synapses."
    mend = "nothing if its size does not matter: the product may hold more weights than both"
    names = [name for name in graph.nodes_of(Synapse) if name not in real.nodes]
    return [_note("SP436", what, name, why, mend) for name in names]


def _note(code: str, what: str, name: str, why: str, mend: str) -> Finding:
    return Finding(code, what, f"node {name!r}", why, mend, severity="note")
