"""SpikingJelly's IFNode, LIFNode, ParametricLIFNode, ILIFNode and SynapseFilter as nodes, single and multi step.

    IF    h[t] = v[t-1] + x[t]
    LIF   h[t] = v[t-1] + (x[t] - (v[t-1] - v_reset)) / tau            decay_input=True
          h[t] = v[t-1] - (v[t-1] - v_reset) / tau + x[t]              decay_input=False
    PLIF  LIF with 1 / tau = sigmoid(w)
    s[t] = h[t] >= v_threshold
    v[t] = v_reset where s[t]; h[t] - v_threshold s[t] if v_reset is None          v[-1] = v_reset, or 0 if None

(``_ops/lif/reference.py``, ``_ops/reset.py``, version 2.0.0.) Measured from v_reset, u = h - v_reset starts at zero,
resets to zero and fires at v_threshold - v_reset: our equations with decay 1 - 1 / tau and gain 1 / tau or 1.

    I-LIF h[t] = (1 - 1 / tau) v[t-1] + x[t]      s[t] = round(clip(h / v_threshold, 0, D))     v = h - s v_threshold

Rounding counts whole thresholds half a threshold higher: u = h + v_threshold / 2 starts there and decays to there.
SynapseFilter (``functional/layer.py``, `synapse_filter_step`) is a trace that does not fade where it is driven::

    y[t] = y[t-1] - (1 - x[t]) y[t-1] / tau + x[t] = (1 - 1 / tau) y[t-1] + x[t] y[t-1] / tau + x[t]

``torch.round`` takes halves to the even number, which whole thresholds count upwards: the graph says so in its notes.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from spikingjelly.activation_based import layer, neuron

from spikeport.findings import require
from spikeport.graph import LIF, Array, Delay, Gate, Scale, StepAffine
from spikeport.tracing.registry import Cells, array, register_neuron


def integrate(module: Any, shape: tuple[int, ...], timesteps: int) -> LIF:
    """`IFNode`."""
    return _node(module, shape, timesteps, np.asarray(1.0), np.asarray(1.0))


def leak(module: Any, shape: tuple[int, ...], timesteps: int) -> LIF:
    """`LIFNode`."""
    return _leaking(module, shape, timesteps, np.asarray(1.0 / module.tau))


def learned_leak(module: Any, shape: tuple[int, ...], timesteps: int) -> LIF:
    """`ParametricLIFNode`."""
    return _leaking(module, shape, timesteps, array(module.w.sigmoid()))


def rounded(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`ILIFNode`."""
    theta, decay, most = float(module.v_threshold), 1.0 - 1.0 / module.tau, module.surrogate_function.max_spike_count
    bias = np.full(timesteps, theta / 2 * (1 - decay))
    bias[0] = theta / 2
    node = LIF(shape, np.asarray(decay), np.full(timesteps, theta), reset="subtract", most_spikes=most)
    half = StepAffine(gain=np.ones(timesteps), bias=bias)
    notes = ("at exactly half a threshold it fires once more, where the module rounds to the even number",)
    return Cells(node, parts={"half": half}, wires=(("half", ""),), entry=("half",), notes=notes)


def trace(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`SynapseFilter`: a state that is no neuron."""
    rate = array(module.w.sigmoid()) if module.learnable else np.asarray(1 / module.tau)
    one = Scale(np.ones(()))
    parts = {
        "entering": one,
        "past": Delay(shape, 1),
        "keep": Scale(np.asarray(1 - rate)),
        "driven": Gate(operands=("entering", "past")),
        "held": Scale(rate),
    }
    wires = (
        ("entering", ""),
        ("", "past"),
        *(("past", "keep"), ("keep", "")),
        *(("entering", "driven"), ("past", "driven"), ("driven", "held"), ("held", "")),
    )
    return Cells(one, parts=parts, wires=wires, entry=("entering",))


def _leaking(module: Any, shape: tuple[int, ...], timesteps: int, rate: Array) -> LIF:
    return _node(module, shape, timesteps, np.asarray(1 - rate), rate if module.decay_input else np.asarray(1.0))


def _node(module: Any, shape: tuple[int, ...], timesteps: int, decay: Array, gain: Array) -> LIF:
    require(
        getattr(module.surrogate_function, "spiking", True),
        "SP387",
        "spiking is switched off in its surrogate",
        mend="set surrogate_function.spiking = True",
    )
    soft = module.v_reset is None
    theta = module.v_threshold - (0.0 if soft else module.v_reset)
    return LIF(shape, decay, np.full(timesteps, theta), gain=gain, reset="subtract" if soft else "zero", compare=">=")


def _steps(module: Any) -> Literal["all", "one"]:
    return "all" if module.step_mode == "m" else "one"


def _reset(module: Any) -> None:
    module.reset()


for kind, convert in ((neuron.IFNode, integrate), (neuron.LIFNode, leak), (neuron.ParametricLIFNode, learned_leak)):
    register_neuron(kind, convert, steps=_steps, reset=_reset)
register_neuron(layer.SynapseFilter, trace, steps=_steps, reset=_reset, analog=True)
if hasattr(neuron, "ILIFNode"):  # since 2.0
    register_neuron(neuron.ILIFNode, rounded, steps=_steps, reset=_reset, counts=True, several=lambda _module: True)
