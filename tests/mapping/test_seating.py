"""Layers on cores that are not alike: memories by sinabs' formulas, and a core for each layer where there is a way."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool
from spikeport.mapping.seating import Core, Seats, Shapes, seat, seats
from spikeport.verbs.fit import fit

T = 2
SPECK = seats()["speck2f"]


def lif(*shape, bias=0.0):
    return LIF(shape, np.asarray(1.0), np.ones(T), np.asarray(bias))


def network(**changes):
    nodes = {
        "input": Input((2, 12, 12)),
        "conv": Conv(np.ones((5, 2, 3, 3)), padding=(1, 1)),
        "one": lif(5, 12, 12),
        "pool": Pool("sum", (2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(np.ones((10, 5 * 36))),
        "two": lif(10, bias=1.0),
    }
    return Graph.chain(nodes | changes, T)


def test_memories_are_rounded_up_to_powers_of_two_a_side():
    """3 x 3 is 16 places, 5 features 8: 2 * 16 * 8 weights; 12 x 12 is 16 x 16. Dense: the kernel is 6 x 6, so 64."""
    needs = seat(network(), SPECK).needs
    assert (needs["one"].kernel, needs["one"].neurons, needs["one"].biases) == (2 * 16 * 8, 5 * 16 * 16, 0)
    assert (needs["two"].kernel, needs["two"].neurons, needs["two"].biases) == (5 * 64 * 16, 10, 10)


def test_the_chip_has_nine_cores_as_sinabs_states_them():
    assert [(core.kernel >> 10, core.neurons >> 10) for core in SPECK.each] == [
        *[(16, 64)] * 3,
        *[(32, 32)] * 2,
        *[(64, 16)] * 2,
        *[(16, 16)] * 2,
    ]


def small(*cores):
    kinds = tuple(Core(count=1, kernel=kernel, neurons=neurons, biases=16) for kernel, neurons in cores)
    return Seats(title="small", about="a", source="s", destinations=2, shapes=SPECK.shapes, cores=kinds)


def test_a_layer_makes_room_for_one_that_fits_nowhere_else():
    """The first layer would take the large core first, which only the second fits."""
    seating = seat(network(), small((8192, 2048), (256, 1280)))
    assert seating.cores == {"one": 1, "two": 0}
    assert seating.status == "fits"
    assert seating.used("one") == {"kernel": 1.0, "neurons": 1.0, "biases": 0.0}
    left = seat(network(), small((256, 1280)))
    assert (left.status, left.cores) == ("does not fit", {"one": 0})
    assert "no core is left that holds two" in left.sentence


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"conv": Conv(np.ones((5, 2, 3, 1)), padding=(1, 0))}, "kernel of (3, 1)"),
        ({"conv": Conv(np.ones((5, 2, 3, 3)), stride=(1, 3), padding=(1, 12))}, "strides of (1, 3)"),
        ({"pool": Pool("sum", (2, 2), (2, 2), (1, 1)), "fc": Linear(np.ones((10, 5 * 49)))}, "a pool over (2, 2)"),
        ({"fc": Linear(np.ones((1025, 5 * 36))), "two": lif(1025)}, "1025 features"),
    ],
)
def test_what_no_core_can_be_told_is_said(changes, said):
    seating = seat(network(**changes), SPECK)
    assert seating.status == "does not fit"
    assert said in seating.sentence


def test_a_layer_sends_to_two_others_at_most():
    chip = SPECK.model_copy(update={"destinations": 1, "shapes": Shapes(**dict(SPECK.shapes))})
    graph = network()
    more = {"fc2": graph["fc"], "three": lif(10), "sum": lif(10)}
    edges = (*graph.edges, ("flat", "fc2"), ("fc2", "three"), ("two", "sum"), ("three", "sum"))
    both = graph.with_(nodes={**graph.nodes, **more}, edges=edges)
    assert seat(both, SPECK).refused == {}
    assert "one: it sends to 2 layers" in seat(both, chip).sentence


def test_the_verb_knows_the_chip(tmp_path):
    fits = fit(network(), "speck2f")
    assert fits.as_dict()["bounds"]["cores"]["sentence"] == "Speck 2f: fits on 2 of 9 cores."
    with pytest.raises(SpikeportError, match="SP724"):
        fit(network(), "speck2f", picture=tmp_path / "map.png")
