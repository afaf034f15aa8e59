"""The unit of each layer: how much one integer of its membranes is worth, and the exponents of its synapses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.graph import LIF, STATE_SHIFT, Array, Graph, Profile, Readout, Scale, StepAffine, Synapse
from spikeport.graph.hosted import formed
from spikeport.graph.loihi_rules import FACTOR_TOP
from spikeport.quantisation.inputs import Grid
from spikeport.quantisation.layers import Layer, Term, between
from spikeport.quantisation.mantissa import Mantissa

SUM_ONE = 1 << STATE_SHIFT  #: membrane units in one unit of a sum
ROOM = 1.02  #: in an accumulator, for what rounding adds to mantissas; `with_room` gives a bit where it is more
ENOUGH = 12  #: bits of a threshold beyond which a finer one changes no spike that rounded weights do not change first


@dataclass(frozen=True)
class LayerScale:
    """The numbers that turn a layer into integers; everything else follows from them."""

    unit: Array  #: [] or [C], real value of one membrane unit
    exponents: Mapping[str, int]  #: of each synapse
    mantissas: Mapping[str, Mantissa]  #: of each synapse


def largest_weights(graph: Graph, layer: Layer) -> dict[str, Array]:
    """The largest |weight| of each synapse: [C] where the layer's channels have units of their own, else []."""
    limits = {}
    for term in layer.terms:
        node = graph[term.name]
        weight = np.abs(node.factor if isinstance(node, Scale) else weight_of(node)).astype(np.float64)
        axes = tuple(range(1, weight.ndim))
        limits[term.name] = weight.max(axis=axes) if layer.channels and weight.ndim else np.asarray(weight.max())
    return limits


def weight_of(node: object) -> Array:
    """The weight of a synapse."""
    assert isinstance(node, Synapse)
    return node.weight


def layer_scale(
    graph: Graph,
    layer: Layer,
    limits: Mapping[str, Array],
    mantissas: Mapping[str, Mantissa],
    profile: Profile,
    grid: Grid,
    spare: int = 0,
    least: Mapping[str, int] | None = None,
) -> tuple[LayerScale, tuple[Finding, ...]]:
    """The unit in which the layer's limits become its largest mantissas.

    1. One raw product of mantissa and input is worth limit * input unit / top mantissa; with several synapses the
       coarsest of them leads, and the others have smaller exponents by as many whole bits as they are finer.
    2. The leading exponent is the largest for which the worst case of sums and membranes fits 24 bits, thresholds fit
       their mantissa and biases theirs, and not more than thresholds of ENOUGH bits need. It is negative only where
       thresholds keep ENOUGH bits (a first layer with graded input), or by ``spare`` bits where sums were seen to
       overflow.
    3. Exponents below the format's, or ``least``, are raised: these weights lose bits, which is said.
    4. Where even that does not fit, channels whose thresholds or biases ask for more get a coarser unit (they lose
       weight bits, which is said), and sums that could overflow in the worst case alone are said to.
    """
    products = {}
    for term in layer.terms:
        if isinstance(graph[term.name], Synapse):
            products[term.name] = limits[term.name] * term.value.unit / mantissas[term.name].top
    needed = _needed_unit(graph, layer, profile)  # of a sum, [] or [C]
    if not products:
        unit = np.where(needed.hard > 0, needed.hard, 1.0) * 2.0**spare
        return LayerScale(unit / SUM_ONE, {}, {}), ()
    lead = np.max(np.broadcast_arrays(*products.values()), axis=0)
    alive = lead > 0
    if not alive.any():
        fail(
            "SP410",
            "all its weights are zero",
            where=f"layer {layer.name!r}",
            why="nothing passes through it.",
            mend="retrain the layer, or take it out of the network",
        )
    lead = np.where(alive, lead, np.maximum(needed.hard, lead[alive].min()))
    exponents = _relative(products, lead)
    exponent = _exponent(lead, alive, needed, profile) - spare
    unit = lead / 2.0**exponent
    short = unit < needed.hard
    unit = np.where(short, needed.hard, unit)
    findings = _findings(layer, alive, short, needed.soft / unit, profile.state_bits)
    low, high = profile.weight_exponent
    lowest = {term.name: low if _may_shift(graph, term, profile, grid) else max(low, 0) for term in layer.terms}
    shared = {name: shift for name, shift in (least or {}).items() if shift > lowest.get(name, shift)}
    lowest |= shared
    clipped = {name: int(np.clip(exponent + below, lowest[name], high)) for name, below in exponents.items()}
    fewer = {name: lowest[name] - exponent - below for name, below in exponents.items()} if low < 0 else {}
    findings += tuple(_fewer_bits(name, bits) for name, bits in fewer.items() if bits > 0 and lowest[name] == 0)
    finer = {name: shift - exponent - exponents[name] for name, shift in shared.items()}
    findings += tuple(_one_shift(name, bits) for name, bits in finer.items() if bits > 0)
    return LayerScale(unit / SUM_ONE, clipped, mantissas), findings


def _may_shift(graph: Graph, term: Term, profile: Profile, grid: Grid) -> bool:
    """Whether a negative exponent keeps the low bits of mantissas: where it shifts their sum."""
    return profile.weight_shift == "sum" or formed(graph, term.name, profile, grid.low, grid.high)


@dataclass(frozen=True)
class Needed:
    """The smallest units of a sum with which a layer fits the format; [] or [C]."""

    hard: Array  #: for thresholds and biases, which would not be what they say, and sums that would wrap
    soft: Array  #: for the worst case of sums and membranes, which calibration may never see
    threshold: Array  #: the typical size of a threshold, to tell when its mantissa is fine enough


def _needed_unit(graph: Graph, layer: Layer, profile: Profile) -> Needed:
    shape = _unit_shape(graph, layer)
    hard, soft, thresholds = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    worst = _worst_sums(graph, layer, shape)
    state = float(profile.state_top)
    for term in layer.terms:
        node = graph[term.name]
        if isinstance(node, Scale):  # before neurons it gets the layer's unit, and must fit its own format
            hard = np.maximum(hard, per_channel(np.abs(node.factor), shape, 0) * term.value.unit / FACTOR_TOP)
    largest_bias = ((2 ** (profile.bias_bits - 1) - 1) << profile.bias_exponent[1]) / SUM_ONE
    for name in layer.sinks:
        node = graph[name]
        assert isinstance(node, LIF | Readout)
        bias = per_channel(np.abs(node.bias), shape, 0)
        if isinstance(node, Readout):
            continue  # read by the host: its sums are as wide as they need be
        finite = np.where(np.isfinite(node.threshold), node.threshold, 0.0)
        top = per_channel(np.abs(finite), shape, 1)
        hard = np.maximum(hard, np.maximum(top / (2**profile.threshold_bits - 1), bias / largest_bias))
        if profile.accumulator_least is not None:
            hard = np.maximum(hard, ROOM * worst * SUM_ONE / -profile.accumulator_least)
        reach = _reach(node, graph.timesteps)
        soft = np.maximum(soft, (reach * (worst + bias) + (top if node.reset != "none" else 0)) * SUM_ONE / state)
        thresholds = np.maximum(thresholds, top)
    return Needed(hard, soft, thresholds)


def _reach(node: LIF, timesteps: int) -> float:
    """How many times a constant input a membrane without spikes reaches within T steps."""
    decay = float(node.decay.max())
    return float(sum(decay**step for step in range(timesteps)))


def _worst_sums(graph: Graph, layer: Layer, shape: tuple[int, ...]) -> Array:
    """The largest |sum| that any input within the bounds can give, in real units."""
    total = np.zeros((2, *shape))
    for term in layer.terms:
        node = graph[term.name]
        if not isinstance(node, Synapse):
            ends = (
                np.abs(
                    np.outer(
                        node.factor.reshape(-1) if isinstance(node, Scale) else [1.0], [term.value.low, term.value.high]
                    )
                )
                * term.value.unit
            )
            total = total + ends.max()
            continue
        weight = node.weight.astype(np.float64).reshape(node.channels, -1)
        positive, negative = np.maximum(weight, 0).sum(1), np.minimum(weight, 0).sum(1)
        most = positive * term.value.high + negative * term.value.low
        least = positive * term.value.low + negative * term.value.high
        both = np.stack([most, least]) * term.value.unit * term.area
        total = total + (both if shape else np.stack([both[0].max(), both[1].min()]))
    total = total + _step_biases(graph, layer)
    return np.asarray(np.abs(total).max(axis=0))


def _step_biases(graph: Graph, layer: Layer) -> float:
    """The largest biases a timestep, added up."""
    nodes = (graph[name] for name in between(graph, layer))
    return sum(float(np.abs(node.bias).max()) for node in nodes if isinstance(node, StepAffine))


def _unit_shape(graph: Graph, layer: Layer) -> tuple[int, ...]:
    return graph.shapes[layer.sinks[0]][:1] if layer.channels else ()


def per_channel(value: Array, shape: tuple[int, ...], lead: int) -> Array:
    """The largest of ``value`` (``lead`` axes of time, then [], [C] or neurons) for each unit: [] or [C]."""
    value = np.asarray(value, dtype=np.float64)
    if value.ndim > lead and shape:
        moved = np.moveaxis(value, lead, 0)
        return np.asarray(moved.reshape(moved.shape[0], -1).max(axis=1))
    return np.broadcast_to(value.max(), shape)


def _relative(products: Mapping[str, Array], lead: Array) -> dict[str, int]:
    """By how many whole bits each synapse's product is finer than the leading one, at least, over the channels."""
    relative = {}
    for name, product in products.items():
        ratio = lead / np.where(product > 0, product, lead)
        relative[name] = -int(np.floor(np.log2(ratio.min()) + 1e-9))
    return relative


def _exponent(lead: Array, alive: Array, needed: Needed, profile: Profile) -> int:
    """The exponent of the leading synapse (rule 2)."""
    top = profile.weight_exponent[1]
    live = np.broadcast_to(alive, lead.shape)

    def room(unit: Array) -> float:
        ratio = lead[live] / np.maximum(np.broadcast_to(unit, lead.shape)[live], 1e-300)
        return float(np.floor(np.log2(ratio.min())))

    fits = min(room(needed.hard), room(needed.soft), float(top))
    wanted = np.broadcast_to(needed.threshold, lead.shape)[live]
    if not wanted.any():
        return 0
    typical = float(np.median((wanted / lead[live])[wanted > 0]))
    enough = float(np.ceil(ENOUGH - np.log2(typical)))
    return int(max(min(0.0, enough), min(fits, max(0.0, enough))))


def _coarser(name: str, bits: int, why: str, mend: str) -> Finding:
    what = f"its weights keep {bits} bits fewer"
    return Finding(
        "SP429", what, f"node {name!r}", why=why, mend=f"nothing if accuracy holds; {mend}", severity="substituted"
    )


def _fewer_bits(name: str, bits: int) -> Finding:
    why = "the profile shifts each weight by a negative exponent, which would drop as many bits; it is 0 instead."
    return _coarser(name, bits, why, "a profile that shifts sums keeps them")


def _one_shift(name: str, bits: int) -> Finding:
    why = "all weights of a population of the chip have one shift, and others in it are coarser."
    return _coarser(name, bits, why, "else train weights of one size in the layers that meet")


def _findings(layer: Layer, alive: Array, short: Array, excess: Array, bits: int) -> tuple[Finding, ...]:
    where = f"layer {layer.name!r}"
    findings = []
    if dead := int(alive.size - np.count_nonzero(alive)):
        findings.append(
            Finding(
                "SP411",
                f"the weights of {dead} of {alive.size} channels are all zero",
                where,
                why="these neurons hear nothing; only their bias moves them.",
                mend="prune the channels, or train longer",
                severity="note",
            )
        )
    if count := int(np.count_nonzero(short & alive)):
        findings.append(
            Finding(
                "SP412",
                f"in {count} of {alive.size} channels thresholds or biases are so large beside the weights that the "
                "weights keep fewer bits"
                if layer.channels
                else "its thresholds or biases are so large beside the weights that the weights keep fewer bits",
                where,
                why=f"threshold, bias and weights of a {'channel' if layer.channels else 'layer'} share one unit.",
                mend="nothing if accuracy holds; else train with weight decay on the biases",
                severity="substituted",
            )
        )
    if excess.max() > 1:
        findings.append(
            Finding(
                "SP413",
                f"in the worst case its sums or membranes are {excess.max():.3g} times as large as {bits} bits hold",
                where,
                why="data far from the calibration data could overflow; the integer engine counts every overflow.",
                mend="nothing if runs report no overflow; else use fewer weight bits",
                severity="note",
            )
        )
    return tuple(findings)
