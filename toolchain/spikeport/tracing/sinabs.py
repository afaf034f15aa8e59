"""Sinabs' IAF, LIF and ALIF as nodes, with one spike a step or several.

A step (``layers/functional/lif.py``, ``activation/spike_generation.py`` and ``reset_mechanism.py``, version 2.0.3), of
input [B, T, ...]; alpha = exp(-1 / tau), 1 in IAF::

    u[t] = alpha_mem v[t-1] + gain x[t]            gain 1 - alpha_mem with norm_input, else 1; IAF: 1
    with tau_syn: i[t] = alpha_syn (i[t-1] + x[t]) in the place of x[t]

    SingleSpike   s = 1 where u >= threshold
    MultiSpike    s = trunc(u / threshold) where u > 0          MaxSpike(n): n at most
    MembraneSubtract   v = u - s threshold                      MembraneReset   v = 0 where s > 0

    ALIF    one spike where u >= b0 + adapt_scale b[t-1]; MembraneSubtract takes all of that off
            b[t] = alpha_adapt b[t-1] + (1 - alpha_adapt) s[t]                  (``layers/functional/alif.py``)

    min_v_mem     v = max(v, min_v_mem) after all that, 0 at most: `LIF.lower_bound`

IAFSqueeze and LIFSqueeze take [B T, ...] and have ``batch_size`` or ``num_timesteps`` to take it apart
(``layers/reshape.py``). A subtraction of another value has no node.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sinabs.layers
import torch
from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike

from spikeport.findings import fail, require
from spikeport.graph import ALIF, LIF, Array, CubaLIF
from spikeport.graph.neurons import EVERY_SPIKE, Reset
from spikeport.tracing.registry import Cells, array, register_neuron
from spikeport.tracing.symbols import compact

COARSE = 2.0**14  #: thresholds are to hold so many of float32's steps at min_v_mem, or a note says that they do not


def integrate(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`sinabs.layers.IAF`."""
    return _node(module, shape, timesteps, np.ones((), np.float32), np.ones((), np.float32))


def leak(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`sinabs.layers.LIF`."""
    decay = _over(module.alpha_mem_calculated, shape)
    return _node(module, shape, timesteps, decay, 1 - decay if module.norm_input else np.ones((), np.float32))


def adapt(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`sinabs.layers.ALIF`, whose rise is our a = adapt_scale b."""
    require(
        module.alpha_syn_calculated is None and module.spike_fn is SingleSpike,
        "SP387",
        "a synaptic current or several spikes a step, with a threshold that follows its spikes",
        mend="build it without tau_syn, or without min_v_mem, and with spike_fn=SingleSpike",
    )
    decay, fade = (_over(x, shape) for x in (module.alpha_mem_calculated, module.alpha_adapt_calculated))
    theta = _over(module.b0, shape)
    low, notes = _lower_bound(module, shape, theta)
    node = ALIF(
        shape,
        decay,
        np.broadcast_to(theta, (timesteps, *theta.shape)).copy(),
        gain=1 - decay if module.norm_input else np.ones((), np.float32),
        reset=_reset_of(module),
        adaptation=np.asarray(_over(module.adapt_scale, shape) * (1 - fade)),
        adaptation_decay=fade,
        lower_bound=low,
    )
    return Cells(node, notes=notes)


def _over(value: Any, shape: tuple[int, ...]) -> Array:
    """A parameter, which broadcasts over the last axes of [B, T, *shape], as [], one a channel, or one a neuron."""
    own = array(torch.as_tensor(value))
    if own.size == 1:
        return own.reshape(())
    try:
        whole = np.broadcast_to(own, shape)
    except ValueError:
        mend = "one value, or values that broadcast over the last axes"
        fail("SP387", f"a parameter of shape {own.shape} for neurons of shape {shape}", mend=mend)
    return compact(np.array(whole))


def _lower_bound(module: Any, shape: tuple[int, ...], theta: Array) -> tuple[Array | None, tuple[str, ...]]:
    """``min_v_mem``, and a note where what Sinabs makes of it in float32, relu(v - low) + low, rounds membranes."""
    if module.min_v_mem is None:
        return None, ()
    low = _over(module.min_v_mem, shape)
    mend = "a finite bound of zero or less, since a membrane starts at zero, or min_v_mem=None"
    known = bool(np.isfinite(low).all() and (low <= 0).all())
    require(known, "SP387", f"min_v_mem spans {low.min():g} ... {low.max():g}", mend=mend)
    digit, least = float(np.spacing(np.abs(low).max().astype(np.float32))), float(np.abs(theta).min())
    if digit * COARSE <= least:
        return low, ()
    what = f"Sinabs rounds membranes to {digit:.2g} on their way past min_v_mem, the graph does not"
    return low, (f"{what}; thresholds are {least:.2g}",)


def _node(module: Any, shape: tuple[int, ...], timesteps: int, decay: Any, gain: Any) -> Cells:
    theta = _over(module.spike_threshold, shape)
    low, notes = _lower_bound(module, shape, theta)
    options: dict[str, Any] = {"gain": gain, "reset": _reset_of(module), "most_spikes": _most(module)}
    options["lower_bound"] = low
    threshold = np.broadcast_to(theta, (timesteps, *theta.shape)).copy()
    alpha = module.alpha_syn_calculated
    if alpha is None:
        return Cells(LIF(shape, decay, threshold, **options), notes=notes)
    fade = _over(alpha, shape)
    options["gain"] = gain * fade
    return Cells(CubaLIF(shape, decay, threshold, **options, current_decay=fade), notes=notes)


def _most(module: Any) -> int:
    if module.spike_fn is SingleSpike:
        return 1
    if module.spike_fn is MultiSpike:
        return EVERY_SPIKE
    if isinstance(module.spike_fn, MaxSpike):
        return EVERY_SPIKE if module.spike_fn.max_num_spikes_per_bin is None else module.spike_fn.max_num_spikes_per_bin
    fail("SP387", f"spike_fn is {module.spike_fn!r}", mend="use SingleSpike, MultiSpike or MaxSpike")


def _reset_of(module: Any) -> Reset:
    if isinstance(module.reset_fn, MembraneSubtract) and module.reset_fn.subtract_value is None:
        return "subtract"
    if isinstance(module.reset_fn, MembraneReset) and module.reset_fn.reset_value == 0:
        return "zero"
    fail("SP387", f"reset_fn is {module.reset_fn!r}", mend="use MembraneSubtract() or MembraneReset()")


def _reset(module: Any) -> None:
    """Empty states, as before the first call."""
    for state in ("v_mem", "i_syn", *(("b", "spike_threshold") if hasattr(module, "b0") else ())):
        if getattr(module, state, None) is not None:
            setattr(module, state, getattr(module, state).detach().new_zeros(0))


def _spikes(module: Any) -> bool:
    """ExpLeak is a LIF without spikes."""
    return module.spike_fn is not None


def _several(module: Any) -> bool:
    return module.spike_fn is not SingleSpike


def _lasting(module: Any, timesteps: int) -> None:
    module.batch_size, module.num_timesteps = -1, timesteps


for kind, convert in ((sinabs.layers.IAF, integrate), (sinabs.layers.LIF, leak), (sinabs.layers.ALIF, adapt)):
    register_neuron(kind, convert, reset=_reset, counts=True, several=_several, spikes=_spikes)
for kind, convert in (
    (sinabs.layers.IAFSqueeze, integrate),
    (sinabs.layers.LIFSqueeze, leak),
    (sinabs.layers.ExpLeakSqueeze, leak),
):
    register_neuron(kind, convert, reset=_reset, counts=True, several=_several, spikes=_spikes, lasting=_lasting)
