"""The neurons of a layer of a .net file."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.findings import Finding
from spikeport.formats.lava_dl.numbers import Fields
from spikeport.graph import DECAY_ONE, LIF, LOIHI2, STATE_SHIFT, Array, CubaLIF, Shape

BIAS = 2 ** (LOIHI2.bias_bits - 1 + LOIHI2.bias_exponent[1] - STATE_SHIFT)  #: of mantissas over 2^6
HIGHEST = 2**LOIHI2.threshold_bits - 1
LIFS = ("LOIHI", "CUBA")  #: one neuron under two names (`netx/hdf5.py`, `get_neuron_params`)
OTHERS = {
    "SDNN": "sigma-delta neurons send by how much a value changed, not spikes",
    "RF": "resonate-and-fire neurons have complex states",
    "AD": "their thresholds or refractory states adapt, which netx cannot run either",
}


def bias_of(layer: Fields, shape: Shape) -> Array:
    """Mantissas [], [C], or of each neuron, which Lava has in the order of columns, rows, channels."""
    bias = layer.whole("bias", 0)
    if bias.size == 1:
        return bias.reshape(())
    if len(shape) == 3 and bias.shape == shape[::-1]:
        return bias.transpose(2, 1, 0)
    if bias.shape != shape[:1]:
        layer.damaged(f"a bias of shape {list(bias.shape)} for neurons of {list(shape)}")
    return bias


def neurons(layer: Fields, shape: Shape, bias: Array, timesteps: int, *, driven: bool = False) -> LIF:
    """Current-based neurons; without a current where it is gone at the next step, or where a bias alone is ``driven``.

    `get_neuron_params` of netx, with Lava's fixed-point model of LIF (``proc/lif/models.py``): u decays by
    (4096 - iDecay) / 4096, v by (4096 - vDecay) / 4096, bias and threshold are mantissas over 2^6.
    """
    if "neuron" not in layer:
        layer.refused("has no neurons", why="netx takes currents that add up for ever, and no spike leaves.")
    neuron = layer.fields("neuron")
    kind = neuron.text("type")
    if kind not in LIFS:
        why = next((why for prefix, why in OTHERS.items() if kind.startswith(prefix)), "netx knows no such neuron.")
        layer.refused(f"has neurons of type {kind!r}", why=why, mend=f"spikeport runs those of {' and '.join(LIFS)}")
    for name, usual, why in (
        ("refDelay", 1, "netx has no refractory time: neurons fire that did not in training."),
        ("wgtExp", 0, "netx leaves it out: other sums than in training."),
        ("gradedSpike", 0, "netx sends a spike of one bit all the same."),
    ):
        if neuron.one(name, usual) != usual:
            layer.refused(f"its neurons have {name} = {neuron.one(name)}", why=why)
    for name, value, low, high in (
        ("iDecay", neuron.whole("iDecay"), 1, DECAY_ONE),  # a current that never decays has no place in a format
        ("vDecay", neuron.whole("vDecay"), 0, DECAY_ONE - 1),
        ("vThMant", neuron.whole("vThMant"), 0, 2**31),
        ("bias", bias, -BIAS, BIAS - 1),
    ):
        if value.min() < low or value.max() > high:
            layer.refused(f"{name} spans {value.min()} … {value.max()}, beyond {low} … {high}")
    current, membrane = (DECAY_ONE - _parameter(neuron, each, shape) for each in ("iDecay", "vDecay"))
    threshold = _threshold(neuron, shape)
    threshold = np.broadcast_to(threshold, (timesteps, *threshold.shape))
    facts: dict[str, Any] = {"bias": bias << STATE_SHIFT, "reset": "zero", "compare": ">"}
    if driven or not current.any():
        return LIF(shape, membrane, threshold, **facts)
    return CubaLIF(shape, membrane, threshold, **facts, current_decay=current)


def _threshold(neuron: Fields, shape: Shape) -> Array:
    """Mantissas of 17 bits; SLAYER's affine blocks have 2^18 - 1, which no membrane passes."""
    threshold = _parameter(neuron, "vThMant", shape)
    kept: Array = np.minimum(threshold, HIGHEST)
    if (kept != threshold).any():
        what = f"a threshold of {threshold.max()}, above every membrane, became {HIGHEST}, which a membrane passes"
        note = f"{what} where it saturates at 24 bits"
        neuron.notes.append(Finding("SP228", note, neuron.where, severity="substituted"))
    return kept


def _parameter(neuron: Fields, name: str, shape: Shape) -> Array:
    value = neuron.whole(name)
    if value.size != 1 and value.shape != shape[:1]:
        neuron.damaged(f"{name} of shape {list(value.shape)} for neurons of {list(shape)}")
    return value.reshape(()) if value.size == 1 else value
