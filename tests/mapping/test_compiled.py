"""Loihi 2's cores as Intel's compiler took them: the tables in lava-dl's notebooks (commit d825ac5), layer by layer."""

from __future__ import annotations

import pytest

from measured_networks import dense, pilotnet
from spikeport.mapping.fit import fit

#: cores of each layer, from the input on
COMPILED = {
    "mnist": (dense(784, 128, 64, 10, steps=1), (3, 1, 1)),
    "oxford": (dense(200, 256, 200, steps=1), (3, 2)),
    "pilotnet": (pilotnet(1), (25, 13, 3, 3, 2, 12, 1, 1, 1)),
}


@pytest.mark.parametrize("name", COMPILED)
def test_each_layer_takes_the_cores_that_the_compiler_took(name):
    case, compiled = COMPILED[name]
    least, most = (fit(case.graph, "loihi2", sharing=sharing) for sharing in ("shared", "unrolled"))
    for layer, cores in zip(least.layers, compiled, strict=True):
        assert least.layers[layer].tile.cores <= cores <= most.layers[layer].tile.cores
    assert least.cores <= sum(compiled) <= most.cores
    assert abs(least.cores / sum(compiled) - 1) <= 0.2
    assert most.cores <= 2 * least.cores
    assert all(0 < layer.utilisation["synapse_memory"] <= 1 for layer in least.layers.values())


def test_a_map_is_cut_in_columns_and_a_matrix_by_its_memory():
    """PilotNet's largest cores, neurons: 3072, 2160, 2688, 2048, 2048 of the maps."""
    tiles = [layer.tile.shape for layer in fit(pilotnet(1).graph, "loihi2").layers.values()]
    assert tiles[:5] == [(24, 32, 4), (36, 15, 4), (48, 7, 8), (64, 4, 8), (64, 2, 16)]
    (first, *_) = fit(dense(784, 128, 64, 10, steps=1).graph, "loihi2", sharing="unrolled").layers.values()
    assert first.tile.used["synapse_memory"] == 784 * -(-(first.tile.shape[0] * 20 + 10) // 64) * 64
