"""Counts what nengo-loihi says a layer takes of a core; run where it is installed, it wants numpy below 2:

    python -m venv nl && nl/bin/pip install 'numpy<2' nengo==3.2.0 nengo-loihi==1.1.0 scipy
    nl/bin/python tests/mapping/nengo_loihi_counts.py > tests/mapping/nengo_loihi_1.1.0.json

Discrete axons: every input has a list of its own with its synapses. Population axons: inputs that reach the same taps
share lists, one a channel, as nengo-loihi's convolutions do; ``bits_without_index`` leaves out the index bits that
they carry with each weight, ``bits`` has them.
"""

from __future__ import annotations

import json
import sys

import nengo
import numpy as np
import scipy.sparse
from nengo_loihi.block import Synapse
from nengo_loihi.conv import conv2d_loihi_weights

DENSE = [(784, 128), (64, 64), (65, 65), (30, 200), (1, 1), (100, 1000)]
#: channels, size, filters, kernel, stride, padding
CONV = [
    (1, 8, 4, 3, 1, "valid"),
    (2, 6, 3, 3, 1, "same"),
    (3, 9, 5, 3, 2, "valid"),
    (4, 5, 8, 1, 1, "valid"),
    (2, 7, 6, 5, 1, "same"),
    (8, 8, 16, 3, 1, "valid"),
    (3, 8, 70, 2, 2, "valid"),
]


def discrete(matrix):
    """A list for each input that reaches anything; ``matrix`` [inputs, outputs] is 1 where there is a synapse."""
    rows = scipy.sparse.csr_matrix(matrix[matrix.any(1)])
    synapse = Synapse(rows.shape[0])
    synapse.set_weights(rows)
    return {"bits": int(synapse.bits()), "axons": int(synapse.n_axons)}


def unrolled(channels, size, filters, kernel, stride, padding):
    """[inputs, outputs]: 1 for every synapse of a convolution, by looking at every window."""
    pad = kernel // 2 if padding == "same" else 0
    out = (size + 2 * pad - kernel) // stride + 1
    synapses = np.zeros((channels, size, size, filters, out, out), dtype=np.int8)
    for y, x, i, j in np.ndindex(out, out, kernel, kernel):
        row, column = y * stride + i - pad, x * stride + j - pad
        if 0 <= row < size and 0 <= column < size:
            synapses[:, row, column, :, y, x] = 1
    return synapses.reshape(channels * size * size, -1)


def population(channels, size, filters, kernel, stride, padding):
    """nengo-loihi's own convolution with population axons."""
    transform = nengo.Convolution(
        n_filters=filters,
        input_shape=(channels, size, size),
        strides=(stride, stride),
        channels_last=False,
        kernel_size=(kernel, kernel),
        padding=padding,
        init=np.ones((kernel, kernel, channels, filters)),
    )
    weights, indices, mapped, offsets = conv2d_loihi_weights(transform)
    synapse = Synapse(size * size)
    synapse.set_population_weights(weights, indices, mapped, offsets, pop_type=32)
    bits = int(synapse.bits())
    synapse.format(compression=3)
    lists = [synapse.synapse_cfg.bits_per_axon(w.shape[1]) * w.shape[0] for w in weights]
    return {"bits": bits, "bits_without_index": int(sum(lists)), "axons": int((np.asarray(offsets) >= 0).sum())}


if __name__ == "__main__":
    counts = {
        "dense": [{"inputs": i, "outputs": o, "discrete": discrete(np.ones((i, o)))} for i, o in DENSE],
        "conv": [
            {"case": case, "discrete": discrete(unrolled(*case)), "population": population(*case)} for case in CONV
        ],
    }
    json.dump(counts, sys.stdout, indent=1)
    sys.stdout.write("\n")
