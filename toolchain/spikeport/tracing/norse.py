"""Norse's LSNNCell and LIFRefracCell as nodes; its other neurons are followed line by line, as modules by hand are.

A step of the first (``functional/lsnn.py``, `lsnn_feed_forward_step`, version 1.1.0), with k = dt tau_mem_inv,
l = dt tau_syn_inv, m = dt tau_adapt_inv and b[-1] = v_th::

    u[t] = v[t-1] + k (v_leak - v[t-1] + i[t-1])        i[t] = (1 - l) i[t-1] + x[t]
    s[t] = u[t] > v_th + (1 - m) (b[t-1] - v_th)        b[t] = v_th + (1 - m) (b[t-1] - v_th) + beta s[t]
    v[t] = v_reset where s[t], else u[t]

With a[t] = (1 - m) (b[t] - v_th) the comparison is ALIF's, u[t] - a[t-1] > v_th, and a[t] = (1 - m) (a[t-1] + beta s).

A step of the second (``functional/lif.py``, ``lif_refrac.py``) counts rho down from rho_reset by 1 after a spike; while
rho[t] > 0 nothing fires, and the membrane is held::

    i[t] = (1 - l) i[t-1] + x[t]        u[t] = v[t-1] + k (v_leak - v[t-1] + i[t])
    s[t] = u[t] > v_th, rho[t] <= 0     v[t] = v_reset where s[t], v[t-1] where rho[t] > 0, else u[t]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from norse.torch import LIFRefracCell, LSNNCell
from norse.torch.functional.lif_refrac import lif_refrac_feed_forward_step
from norse.torch.functional.lsnn import lsnn_feed_forward_step

from spikeport.findings import require
from spikeport.graph import ALIF, LIF, Array, Scale
from spikeport.graph.neurons import Reset
from spikeport.tracing.registry import Cells, array, register_neuron
from spikeport.tracing.resting import states
from spikeport.tracing.snntorch_states import States


def adapting(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`norse.torch.LSNNCell`."""
    p, dt = module.p, module.dt
    for name in ("v_leak", "v_reset"):
        value = _number(getattr(p, name))
        require(not value.any(), "SP387", f"{name} is {value}", mend=f"{name}=0, with thresholds measured from there")
    membrane, current, adaptation = (_number(dt * t) for t in (p.tau_mem_inv, p.tau_syn_inv, p.tau_adapt_inv))
    threshold, fade = _number(p.v_th), 1 - adaptation
    node = ALIF(
        shape,
        1 - membrane,
        np.broadcast_to(threshold, (timesteps, *threshold.shape)).copy(),
        compare=">",
        adaptation=np.asarray(fade * _number(p.beta)),
        adaptation_decay=fade,
    )
    states = States(node)
    states.add("current", 1 - current)
    states.chain("current.past", {"drive": Scale(membrane)}, "")
    return states.cells("current.charge")


def refractory(module: Any, shape: tuple[int, ...], timesteps: int) -> Cells:
    """`norse.torch.LIFRefracCell`."""
    p, dt = module.p.lif, module.dt
    leak, reset, left = _number(p.v_leak), _number(p.v_reset), _number(module.p.rho_reset)
    require(not leak.any(), "SP387", f"v_leak is {leak}", mend="v_leak=0, with thresholds measured from there")
    require(left.size == 1, "SP387", "rho_reset differs from neuron to neuron", mend="one rho_reset a layer")
    membrane, current = (_number(dt * t) for t in (p.tau_mem_inv, p.tau_syn_inv))
    thresholds = np.broadcast_to(_number(p.v_th), (timesteps, *_number(p.v_th).shape)).copy()
    kind: Reset = "value" if reset.any() else "zero"
    node = LIF(shape, 1 - membrane, thresholds, compare=">", reset=kind, reset_value=reset)
    layer = states(node, int(np.ceil(left)))
    layer.add("current", 1 - current)
    layer.chain("current", {"drive": Scale(membrane)}, "charge")
    return layer.cells("current.charge")


def _number(value: Any) -> Array:
    return array(torch.as_tensor(value)).astype(np.float64)


def _steps(activation: Any) -> Callable[[Any], bool]:
    """Whether a module takes these steps, and not those of the adjoint method, say."""
    return lambda module: module.activation is activation


register_neuron(LSNNCell, adapting, steps="one", spikes=_steps(lsnn_feed_forward_step))
register_neuron(LIFRefracCell, refractory, steps="one", spikes=_steps(lif_refrac_feed_forward_step))
