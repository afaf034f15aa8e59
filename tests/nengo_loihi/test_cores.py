"""Our tiles and nengo-loihi's blocks take the same of a core, by two code bases."""

from __future__ import annotations

import pytest

from nengo_cores import NAMES, network, ours, theirs
from spikeport_targets.nengo_loihi import NengoLoihi

HERE = NengoLoihi().availability()


@pytest.mark.skipif(not HERE.ready, reason=f"{HERE.why}: {HERE.mend}")
@pytest.mark.parametrize(("shape", "layers"), [((2, 12, 12), ((8, 3, 1), (16, 3, 2), 64, 10))])
def test_a_whole_layer_takes_the_same_neurons_memory_and_axons_and_as_many_cores(shape, layers):
    graph = network(shape, layers)
    mine, other = ours(graph), theirs(graph)
    assert mine.keys() == other.keys()
    for name, layer in mine.items():
        assert layer["whole"] == {our: other[name]["whole"][their] for their, our in NAMES.items()}, name
        assert other[name]["over"] or layer["cores"] == other[name]["cores"], name
    assert max(layer["cores"] for layer in mine.values()) > 1
