"""Everything that quantisation has decided so far; the steps refine it, and any plan can be built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import numpy as np

from spikeport import __version__
from spikeport.findings import Finding
from spikeport.graph import LIF, Array, Graph, Loihi, Node, Profile, Readout, Scale, StepAffine, Synapse
from spikeport.quantisation import xylo
from spikeport.quantisation.inputs import Grid
from spikeport.quantisation.integers import (
    factor_integers,
    mantissas,
    neuron_integers,
    never_fires,
    readout_integers,
    weight_step,
)
from spikeport.quantisation.layers import Layer, between
from spikeport.quantisation.mantissa import Mantissa
from spikeport.quantisation.scales import SUM_ONE, LayerScale, largest_weights, layer_scale
from spikeport.quantisation.step_affine import step_integers

EXACT = "input_exact"  #: among a graph's facts: whether all calibration data were whole multiples of its input's unit
Limits = Mapping[str, Array]  #: of each term the real weight that becomes the largest mantissa, [] or [C]


@dataclass(frozen=True)
class Plan:
    """A graph of real numbers, and how each layer becomes integers.

    Steps that move biases or thresholds change ``real``; steps that choose formats change the rest.
    """

    trained: Graph  #: the real network, prepared, as nothing has changed it
    real: Graph  #: the same with what the steps adjusted
    grid: Grid
    layers: tuple[Layer, ...]
    profile: Profile
    mantissas: Mapping[str, Mantissa]  #: of each synapse
    limits: Mapping[str, Limits]  #: by layer
    free: bool = False  #: whether units may be any number, so that the largest weight fills its mantissa
    joint: bool = False  #: whether thresholds are rounded with what their biases and sums are off by
    spare: Mapping[str, int] = field(
        default_factory=dict
    )  #: by layer, bits of room for sums that were seen to overflow
    decays: Mapping[str, Array] = field(default_factory=dict)  #: over 4096, before rounding, in place of the trained

    @classmethod
    def first(
        cls, real: Graph, grid: Grid, layers: tuple[Layer, ...], profile: Profile, mantissas: Mapping[str, Mantissa]
    ) -> Self:
        """The plainest plan: the largest weight decides, units are powers of two."""
        limits = {layer.name: largest_weights(real, layer) for layer in layers}
        return cls(real, real, grid, layers, profile, mantissas, limits)

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)

    @property
    def bits(self) -> dict[str, int]:
        """Bits of each synapse's mantissas."""
        return {name: mantissa.bits for name, mantissa in self.mantissas.items()}

    @property
    def signs(self) -> dict[str, str]:
        """Sign mode of each synapse's mantissas."""
        return {name: mantissa.sign for name, mantissa in self.mantissas.items()}

    def with_limits(self, layer: Layer, limits: Limits) -> Self:
        """A copy with other limits for one layer."""
        return replace(self, limits={**self.limits, layer.name: limits})

    def scale(self, layer: Layer) -> tuple[LayerScale, tuple[Finding, ...]]:
        """The unit and the exponents of one layer; of Xylo's with regard to the others (`xylo.one_shift`)."""
        if self.profile.neuron != "xylo":
            return self._scale(layer)
        own = {each.name: self._scale(each)[0].exponents for each in self.layers}
        coarser, least = xylo.one_shift(self.real, own)
        return self._scale(layer, coarser[layer.name], least)

    def _scale(
        self, layer: Layer, coarser: int = 0, least: Mapping[str, int] | None = None
    ) -> tuple[LayerScale, tuple[Finding, ...]]:
        limits = self.limits[layer.name]
        if not self.free:
            limits = {name: _power_of_two(limit, self.mantissas.get(name)) for name, limit in limits.items()}
        spare = self.spare.get(layer.name, 0) + coarser
        return layer_scale(self.real, layer, limits, self.mantissas, self.profile, self.grid, spare, least)

    def nodes(self, layer: Layer) -> tuple[dict[str, Node], tuple[Finding, ...]]:
        """The integer nodes of one layer."""
        scale, scale_findings = self.scale(layer)
        findings = list(scale_findings)
        nodes: dict[str, Node] = {}
        for term in layer.terms:
            node = self.real[term.name]
            if isinstance(node, Scale):
                nodes[term.name] = factor_integers(node, term.value.unit, scale)
            elif isinstance(node, Synapse):
                nodes[term.name], more = mantissas(node, term.name, term.value.unit, scale)
                findings += more
        for name in between(self.real, layer):
            step = self.real[name]
            assert isinstance(step, StepAffine)
            nodes[name] = step_integers(step, self.real.shapes[name], scale)
        for name in layer.sinks:
            sink = self.real[name]
            if isinstance(sink, Readout):
                nodes[name] = readout_integers(sink, scale)
            elif isinstance(sink, LIF):
                profile = replace(self.profile, schedule=self.over_time(name))
                nodes[name], more = neuron_integers(
                    sink, name, scale, profile, self.decays.get(name), self.lost(layer, scale)
                )
                findings += more
        return nodes, tuple(findings)

    def lost(self, layer: Layer, scale: LayerScale) -> float | None:
        """What rounding the sums of a layer down takes from its membranes at a step on average, in membrane units.

        The last bits of a sum are taken to be any with the same chance. None without the step `joint`.
        """
        if not self.joint:
            return None
        areas = {term.name: term.area for term in layer.terms}
        return sum(
            SUM_ONE * areas[name] * (1 - 2.0**exponent) / 2
            for name, exponent in scale.exponents.items()
            if exponent < 0
        )

    def over_time(self, name: str) -> bool:
        """Whether a layer's thresholds may vary over time: those that do in the network, if the format lets them."""
        theta = cast(LIF, self.trained[name]).threshold
        return self.profile.schedule and bool((theta != theta[:1]).any())

    def steps(self, layer: Layer) -> dict[str, Array]:
        """For each synapse of a layer what one step of its mantissas is worth, broadcasting over its weights."""
        scale, _ = self.scale(layer)
        nodes = {term: self.real[term.name] for term in layer.terms}
        return {
            term.name: weight_step(node, term.name, term.value.unit, scale)
            for term, node in nodes.items()
            if isinstance(node, Synapse)
        }

    def before_rounding(self) -> dict[str, Array]:
        """Each synapse's trained weights in mantissas, within the step to which they are rounded."""
        weights: dict[str, Array] = {}
        for layer in self.layers:
            for name, step in self.steps(layer).items():
                whole, trained = self.real[name], self.trained[name]
                assert isinstance(whole, Synapse)
                assert isinstance(trained, Synapse)
                middle = np.rint(whole.weight / step)
                weights[name] = np.clip(trained.weight / step, middle - 0.49, middle + 0.49)
        return weights

    def build(self) -> tuple[Graph | None, tuple[Finding, ...]]:
        """The integer graph, and what there is to say; None if one of the findings is an error."""
        integers: dict[str, Node] = {}
        findings: list[Finding] = []
        for layer in self.layers:
            nodes, layer_findings = self.nodes(layer)
            integers |= nodes
            findings += layer_findings
        if any(finding.severity == "error" for finding in findings):
            return None, tuple(findings)
        unit, low, high = np.asarray(self.grid.unit), float(self.grid.low), float(self.grid.high)
        integers[self.real.input] = self.real.entry.with_(unit=unit, low=low, high=high)
        for name, scaling in self.real.nodes_of(Scale).items():
            if name not in integers:  # between messages: whole factors stay, others went into the unit
                whole = np.array_equal(scaling.factor, np.rint(scaling.factor))
                factor = scaling.factor if whole else np.sign(scaling.factor)
                integers[name] = scaling.with_(factor=factor.astype(np.int32))
        most = max((mantissa.bits for mantissa in self.mantissas.values()), default=self.profile.weight_bits)
        arithmetic = Loihi(replace(self.profile, weight_bits=most))
        clipped = {name: count for name, node in self.real.nodes_of(LIF).items() if (count := never_fires(node))}
        facts = {
            "profile": self.profile.name,
            "weight_bits": self.bits,
            "signs": self.signs,
            "thresholds_clipped": clipped,
            EXACT: self.grid.exact,
            "versions": {"spikeport": __version__, "numpy": np.__version__},
        }
        provenance = {**self.real.provenance, "quantised": facts}
        both = {**self.real.nodes, **integers}
        return self.real.with_(nodes=both, arithmetic=arithmetic, provenance=provenance), tuple(findings)


def _power_of_two(limit: Array, mantissa: Mantissa | None) -> Array:
    """The limit raised so that one step of the mantissa is a power of two."""
    if mantissa is None:
        return limit
    steps = np.where(limit > 0, limit, 1.0) / mantissa.top
    return np.where(limit > 0, mantissa.top * 2.0 ** np.ceil(np.log2(steps) - 1e-12), 0.0)
