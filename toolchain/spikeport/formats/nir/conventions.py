"""What a NIR file does not say, as explicit choices, and the equations of its neurons in discrete time.

NIR's neurons follow differential equations (ir/neuron.py of nir 1.0.8); a file holds neither dt nor a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikeport.graph import Array

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Conventions:
    """How a file of another tool is read. Every default is reported as a finding."""

    dt: float = 1e-4  #: seconds a step
    #: dt as given, hidden in r (Rockpool), or told by the size of tau (Norse); see hidden_dt.py
    clock: Literal["option", "r", "tau"] = "option"
    rule: Literal["euler", "exponential"] = "euler"  #: decay = 1 - dt/tau, or exp(-dt/tau)
    integrator: Literal["auto", "step", "seconds"] = "auto"  #: whether r of IF and I counts a step or a second
    #: gain of leaky nodes from the equation, 1 whatever r says, or that of an input that enters before the decay; or
    #: that of the equation, but all of w_in x into a synaptic current, which jumps by it
    drive: Literal["equation", "unit", "decayed", "jump"] = "equation"
    decays: Literal["exact", "4096ths"] = "exact"  #: as the rule gives them, or rounded as Loihi and SLAYER hold them
    compare: Literal[">", ">="] = ">"  #: NIR's documents say >
    #: v_reset of the file, or: to zero; less the threshold at once, or one step late (snnTorch); not at all
    reset: Literal["file", "zero", "subtract", "subtract-late", "none"] = "file"
    start: Literal["zero", "leak", "reset"] = "zero"  #: where membranes of neurons start: at 0, v_leak or v_reset
    spikes: Literal["one", "many"] = "one"  #: a step at most: one, or as many as a membrane holds thresholds
    #: below which no membrane stays: nothing, the threshold of an IF below zero (Sinabs' own reader), or a number
    bound: Literal["none", "threshold"] | float = "none"
    coding: Literal["events", "direct"] = "events"  #: a frame each step, or the same frame at every step
    output: Literal["sum", "mean", "last"] = "sum"  #: what is read from an output layer that does not spike
    written_by: str = ""  #: the tool whose habits these are
    told: frozenset[str] = frozenset()  #: the options that the user gave


#: how tools that deviate from NIR's own documents run what they write; read(..., written_by=...) chooses one
TOOLS: Mapping[str, Mapping[str, Any]] = {
    # export_nir.py: dt = 1e-4, Euler, v_reset = 0 whatever the reset; "subtract" is the default, one step late
    "snntorch": {"dt": 1e-4, "reset": "subtract-late"},
    # export_nir.py of some versions writes tau times dt (norse #411); the first state of its cells is v_leak; what
    # enters a LIFCell is added to its current (functional/lif.py)
    "norse": {"clock": "tau", "start": "leak", "drive": "jump"},
    "sinabs": {
        "dt": 1.0,
        "rule": "exponential",
        "drive": "unit",
        "compare": ">=",
        "reset": "subtract",
        "spikes": "many",
    },  # nir.py: tau in steps
    # nir_exchange: IF with r = 1/dt, spikes at >=; neuron.py: the memory v begins at v_reset
    "spikingjelly": {"dt": 1e-4, "compare": ">=", "start": "reset"},
    # i = d_syn (i + x), v = d_mem v + i, spikes = floor(v / threshold); dt stands in r = tau exp(-dt / tau) / dt
    "rockpool": {
        "clock": "r",
        "rule": "exponential",
        "drive": "decayed",
        "compare": ">=",
        "reset": "subtract",
        "spikes": "many",
    },
    # what NIR's own importer for lava-dl asks for: r = tau_mem / dt, w_in = tau_syn / dt, SLAYER's decays of 12 bits
    "lava-dl": {"dt": 1e-4, "compare": ">=", "decays": "4096ths"},
}


@dataclass(frozen=True)
class Discrete:
    """u[t] = decay v[t-1] + gain x[t] + bias, all [] or of one value a neuron."""

    decay: Real
    gain: Real
    bias: Real


def leaky(tau: Array, r: Array, v_leak: Array, conventions: Conventions) -> Discrete:
    """tau v' = (v_leak - v) + r x.

    Euler: v + dt/tau (v_leak - v + r x). Exponential: the exact solution for an input that is constant over the step.
    Where x enters before the decay: decay (v + x) + v_leak.

    tau = dt and r = tau/dt are those numbers to the last digit that the file's type has: a decay of 0, a gain of 1.
    tau and r that are both infinite are those of a neuron without leak, whose 1 - decay somebody divided by: gain 1.
    """
    digit = np.maximum(_last_digit(tau), _last_digit(r))
    tau, r, v_leak = (np.asarray(value, np.float64) for value in (tau, r, v_leak))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = _one_where_near(conventions.dt / tau, digit)
        decay = 1.0 - ratio if conventions.rule == "euler" else np.exp(-ratio)
        if conventions.drive == "decayed":
            return Discrete(decay, decay, v_leak * np.ones_like(decay))
        share = ratio if conventions.rule == "euler" else 1.0 - decay
        if conventions.drive == "unit":
            return Discrete(decay, np.ones_like(share * r), share * v_leak)
        gain = np.where(np.isposinf(tau) & np.isposinf(r), 1.0, share * r)
        return Discrete(decay, _one_where_near(gain, 2 * digit), share * v_leak)


def _last_digit(value: Array) -> Real:
    """By how much the next number of the value's type differs, relative to it."""
    own = np.asarray(value)
    own = own if own.dtype.kind == "f" else own.astype(np.float64)
    with np.errstate(all="ignore"):
        digit = np.asarray(np.abs(np.spacing(own) / own), np.float64)
    return np.where(np.isfinite(digit), digit, 0.0)


def _one_where_near(value: Real, distance: Real) -> Real:
    return np.where(np.abs(value - 1.0) <= distance, 1.0, value)


def cuba(
    tau_syn: Array, w_in: Array, tau_mem: Array, r: Array, v_leak: Array, conventions: Conventions
) -> tuple[Discrete, Discrete]:
    """tau_syn I' = -I + w_in x and tau_mem v' = (v_leak - v) + r I: the current, and the membrane that it drives."""
    current = leaky(tau_syn, w_in, np.zeros(()), conventions)
    membrane = leaky(tau_mem, r, v_leak, conventions)
    if conventions.drive == "jump":
        return replace(current, gain=np.ones_like(current.decay) * np.asarray(w_in, np.float64)), membrane
    if conventions.drive != "decayed":
        return current, membrane
    one = np.ones_like(membrane.decay)
    return replace(current, gain=current.gain * np.asarray(w_in, np.float64)), replace(membrane, gain=one)


def integrating(r: Array, conventions: Conventions) -> tuple[Discrete, bool]:
    """v' = r x. True where r was taken as a second's.

    By the equation a step adds dt r x. Most tools write r = 1 and add x at each step (snnTorch, Norse, Sinabs), others
    r = 1/dt (SpikingJelly); "auto" takes r as a second's from 0.01/dt upwards.
    """
    r = np.asarray(r, np.float64)
    seconds = conventions.integrator == "seconds"
    if conventions.integrator == "auto":
        seconds = bool(r.size) and float(np.abs(r).max()) * conventions.dt >= 0.01
    one = np.ones(())
    return Discrete(one, r * conventions.dt if seconds else r, np.zeros(())), seconds
