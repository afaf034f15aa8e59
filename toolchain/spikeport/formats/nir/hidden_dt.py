"""The length of a step that Rockpool hides in r: r = (tau / dt) exp(-dt / tau).

With x = dt / tau that is x exp(x) = 1 / r, so that x = W(1 / r), Lambert's function, and dt = x tau for each neuron.
(Rockpool's own import takes dt = tau / (1 + r), which is off by about x^2 / 2.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.formats.nir.subgraphs import Flat
from spikeport.graph import Array

TAU = {"LI": "tau", "LIF": "tau", "CubaLI": "tau_mem", "CubaLIF": "tau_mem"}
AGREE = 1e-3  #: relative; float32 files agree to about 1e-6
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
