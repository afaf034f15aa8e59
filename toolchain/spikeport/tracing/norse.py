"""Norse's LSNNCell as nodes; its other neurons are followed line by line, as modules written by hand are.

A step (``functional/lsnn.py``, `lsnn_feed_forward_step`, version 1.1.0), with k = dt tau_mem_inv, l = dt tau_syn_inv,
m = dt tau_adapt_inv and b[-1] = v_th::

    u[t] = v[t-1] + k (v_leak - v[t-1] + i[t-1])        i[t] = (1 - l) i[t-1] + x[t]
    s[t] = u[t] > v_th + (1 - m) (b[t-1] - v_th)        b[t] = v_th + (1 - m) (b[t-1] - v_th) + beta s[t]
    v[t] = v_reset where s[t], else u[t]

With a[t] = (1 - m) (b[t] - v_th) the comparison is ALIF's, u[t] - a[t-1] > v_th, and a[t] = (1 - m) (a[t-1] + beta s).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from norse.torch import LSNNCell
from norse.torch.functional.lsnn import lsnn_feed_forward_step

from spikeport.findings import require
from spikeport.graph import ALIF, Array, Scale
from spikeport.tracing.registry import Cells, array, register_neuron
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


def _number(value: Any) -> Array:
    return array(torch.as_tensor(value)).astype(np.float64)


def _feeds_forward(module: Any) -> bool:
    return module.activation is lsnn_feed_forward_step


register_neuron(LSNNCell, adapting, steps="one", spikes=_feeds_forward)
