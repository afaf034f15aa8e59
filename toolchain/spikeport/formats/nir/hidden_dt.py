"""The length of a step where the file tells it: Rockpool hides it in r, Norse's defect shows in the size of tau.

Rockpool: r = (tau / dt) exp(-dt / tau). With x = dt / tau that is x exp(x) = 1 / r, so that x = W(1 / r), Lambert's
function, and dt = x tau for each neuron. (Rockpool's own import takes dt = tau / (1 + r), off by about x^2 / 2.)

Norse: its export (norse 1.1.0, export_nir.py) writes dt / tau_mem_inv, that is tau times its dt of 1e-3 s, so that
1e-6 gives the decays of its cells (norse #411); files from before, and files in its manner, hold tau itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.formats.nir.subgraphs import Flat
from spikeport.graph import Array

TAU = {"LI": "tau", "LIF": "tau", "CubaLI": "tau_mem", "CubaLIF": "tau_mem"}
AGREE = 1e-3  #: relative; float32 files agree to about 1e-6
#: seconds; membranes and currents last 1 ms to 0.5 s (Norse's defaults: 10 ms, 5 ms), times 1e-3 that is less than this
SHORTEST = 5e-4
DEFECT, TRUE = 1e-6, 1e-4  #: seconds a step where tau was multiplied by 1e-3 s, and where it is tau
STEPS = 40  #: of Newton's method, which doubles the digits with each


def hidden_dt(flat: Flat) -> float | None:
    """Seconds a step, the same for all leaky nodes; None where there are none. Raises SP213 where they disagree."""
    seconds = {
        name: _dt(raw.parameter(TAU[raw.kind]), raw.parameter("r"))
        for name, raw in flat.nodes.items()
        if raw.kind in TAU
    }
    if not seconds:
        return None
    every = np.concatenate(list(seconds.values()))
    dt = float(np.median(every))
    wrong = [name for name, values in seconds.items() if not (np.abs(values - dt) <= AGREE * dt).all()]
    if wrong or not 0 < dt < np.inf:
        fail(
            "SP213",
            f"r of {', '.join(map(repr, wrong[:8]))} holds another step than the rest ({dt:g} s)",
            why="Rockpool writes r = tau exp(-dt / tau) / dt, from which dt follows.",
            mend="give --dt; if Rockpool did not write the file, leave written_by out",
        )
    return dt


def dt_by_size(flat: Flat) -> float:
    """Seconds a step by the size of the time constants. Raises SP220 where some are of one kind, some of the other."""
    fields = ("tau", "tau_syn", "tau_mem")
    constants = [raw.parameter(key).reshape(-1) for raw in flat.nodes.values() for key in fields if key in raw.fields]
    every = np.concatenate([np.zeros(0), *constants])
    every = every[np.isfinite(every)]
    if every.size and every.min() < SHORTEST <= every.max():
        fail(
            "SP220",
            f"time constants from {every.min():g} s to {every.max():g} s: whether Norse multiplied them by its step",
            why="some versions of Norse write tau times dt (norse #411), others tau; a part is against either.",
            mend=f"give --dt: {DEFECT:g} where tau was multiplied by 1e-3, else the step in seconds",
        )
    return DEFECT if every.size and every.max() < SHORTEST else TRUE


def _dt(tau: Array, r: Array) -> NDArray[np.float64]:
    tau, r = np.broadcast_arrays(np.asarray(tau, np.float64), np.asarray(r, np.float64))
    with np.errstate(all="ignore"):
        return np.asarray(lambert(1.0 / r) * tau).reshape(-1)


def lambert(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The solution x >= 0 of x exp(x) = z >= 0, by Newton's method from log(1 + z), which lies above it."""
    x = np.log1p(z)
    for _ in range(STEPS):
        x = x - (x - z * np.exp(-x)) / (1.0 + x)
    return x
