"""snnTorch's Leaky, Synaptic, Lapicque and Alpha as nodes.

All reset one step late: ``reset[t] = mem[t-1] > threshold`` (``_neurons/leaky.py``, ``synaptic.py``,
``lapicque.py``, version 1.0.0), and they fire on a strict comparison. With s[t] = (u[t] > threshold)::

    Leaky     u[t] = beta u[t-1] + x[t]                                  beta clamped to [0, 1]
    Synaptic  i[t] = alpha i[t-1] + x[t]      u[t] = beta u[t-1] + i[t]
    Lapicque  u[t] = (1 - dt / RC) u[t-1] + (dt / C) x[t]

    subtract  ... - threshold s[t-1]          the whole threshold, not beta times it
    zero      Leaky: beta (1 - s[t-1]) u[t-1] + x[t], our reset to zero
              Synaptic, Lapicque: (1 - s[t-1]) (...): the step after a spike loses its input too
    none      as it stands

A subtraction of the whole threshold one step late is a connection of the layer to itself: -threshold s[t-1]. What no
one node computes is put together in `snntorch_states`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import snntorch
import torch

from spikeport.findings import fail, require
from spikeport.graph import LIF, Array, CubaLIF
from spikeport.tracing.registry import Cells, array, register_neuron
from spikeport.tracing.snntorch_states import ONE, at_once, compares, erased
from spikeport.tracing.snntorch_states import alpha as states_of_alpha


def leaky(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`snntorch.Leaky`."""
    _plain(module)
    kind = module.reset_mechanism
    decay, threshold = _spread(module.beta.clamp(0, 1), shape), _threshold(module, shape)
    theta = _over_time(threshold, timesteps)
    if not module.reset_delay and kind == "subtract":
        return at_once(compares(shape, theta), decay, threshold, _graded(module))
    node = LIF(shape, decay, theta, reset="zero" if kind == "zero" else "none", compare=">")
    back = ((1, -threshold),) if kind == "subtract" else ()
    return Cells(node, back, _graded(module))


def synaptic(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`snntorch.Synaptic`. What enters the node passes its current: -threshold s[t-1] there is undone a step later."""
    _plain(module)
    current, beta = (_spread(value.clamp(0, 1), shape) for value in (module.alpha, module.beta))
    threshold = _threshold(module, shape)
    theta = _over_time(threshold, timesteps)
    if module.reset_mechanism == "zero":
        return erased(compares(shape, theta), beta, ONE, _graded(module), current)
    if not module.reset_delay and module.reset_mechanism == "subtract":
        return at_once(compares(shape, theta), beta, threshold, _graded(module), current)
    node = CubaLIF(shape, beta, theta, reset="none", compare=">", current_decay=current)
    late = ((1, -threshold), (2, np.asarray(current * threshold)))
    return Cells(node, late if module.reset_mechanism == "subtract" else (), _graded(module))


def lapicque(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`snntorch.Lapicque`. Its beta only serves to find R or C; the decay is 1 - dt / RC."""
    _plain(module)
    rc = module.R * module.C
    decay = _spread(1 - module.time_step / rc, shape)
    gain = _spread(module.R * (1 / rc) * module.time_step, shape)
    if (decay < 0).any():
        fail(
            "SP387",
            f"time_step is longer than RC: the membrane would decay by {decay.min():g}",
            mend="use a shorter time_step or a larger RC",
        )
    threshold = _threshold(module, shape)
    if module.reset_mechanism == "zero":
        return erased(compares(shape, _over_time(threshold, timesteps)), decay, gain, _graded(module))
    node = LIF(shape, decay, _over_time(threshold, timesteps), gain=gain, reset="none", compare=">")
    # What is fed back passes the gain as well.
    back = ((1, np.asarray(-threshold / gain)),) if module.reset_mechanism == "subtract" else ()
    return Cells(node, back, _graded(module))


def alpha(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`snntorch.Alpha`."""
    _plain(module)
    excitatory, inhibitory = (module.alpha.clamp(0, 1), module.beta.clamp(0, 1))
    gain = _spread(excitatory.log() / (inhibitory.log() - excitatory.log()) + 1, shape)
    if not np.isfinite(gain).all():
        fail("SP387", "alpha and beta are the same: its membrane is not finite", mend="keep alpha above beta")
    rates = _spread(excitatory, shape), _spread(inhibitory, shape)
    threshold = _threshold(module, shape)
    node = compares(shape, _over_time(threshold, timesteps))
    return states_of_alpha(node, rates, gain, module.reset_mechanism, threshold, _graded(module))


def _plain(module: Any) -> None:
    for option, what in (("state_quant", "quantises its state"), ("inhibition", "lets one neuron silence the others")):
        require(not getattr(module, option), "SP387", f"{option} {what}", mend=f"train without {option}")


def _threshold(module: Any, shape: tuple[int, ...]) -> Array:
    threshold = _spread(module.threshold, shape)
    require(bool((threshold >= 0).all()), "SP387", f"a threshold of {threshold.min():g}: a membrane at rest resets")
    return threshold


def _graded(module: Any) -> Array | None:
    factor = array(module.graded_spikes_factor)
    return None if (factor == 1).all() else factor


def _spread(value: torch.Tensor, shape: tuple[int, ...]) -> Array:
    """A parameter, which torch broadcasts from the last axis, as [], [C] or [*shape]."""
    parameter = array(value.detach())
    if parameter.size == 1:
        return parameter.reshape(())
    try:
        spread = np.broadcast_to(parameter, shape)
    except ValueError:
        fail("SP387", f"a parameter of shape {parameter.shape} does not fit neurons of shape {shape}")
    flat = spread.reshape(shape[0], -1)
    return np.array(flat[:, 0] if (flat == flat[:, :1]).all() else spread)


def _over_time(threshold: Array, timesteps: int) -> Array:
    return np.broadcast_to(threshold, (timesteps, *threshold.shape)).copy()


def _reset(module: Any) -> None:
    """Empty states, as before the first call: they take the shape of the next input."""
    for state in ("mem", "syn", "syn_exc", "syn_inh"):
        if hasattr(module, state):
            setattr(module, state, torch.zeros_like(getattr(module, state)[:0].reshape(-1)[:0]))


register_neuron(snntorch.Leaky, leaky, steps="one", reset=_reset)
register_neuron(snntorch.Synaptic, synaptic, steps="one", reset=_reset)
register_neuron(snntorch.Lapicque, lapicque, steps="one", reset=_reset)
register_neuron(snntorch.Alpha, alpha, steps="one", reset=_reset)
