"""What a graph takes of chips with one population of neurons, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.graph import XYLO, CubaLIF, Delay, Graph, Input, Linear, Loihi
from spikeport.mapping.xylo import fill, populations
from spikeport.verbs.fit import fit

T = 2


def neurons(size, most=31):
    halves = {"decay": np.asarray(2048), "current_decay": np.asarray(2048), "bias": np.asarray(0)}
    same = {"gain": np.asarray(1), "reset": "subtract", "compare": ">=", "threshold": np.full(T, 50)}
    return CubaLIF((size,), most_spikes=most, **halves, **same)


def network(hidden=70, classes=9, arithmetic=Loihi(XYLO)):
    """Every hidden neuron reaches all but itself; the first three reach the output, the input all but one."""
    into, back, out = np.ones((hidden, 16), int), 1 - np.eye(hidden, dtype=int), np.zeros((classes, hidden), int)
    into[0], out[:, :3] = 0, 1
    nodes = {
        "input": Input((16,), "events", low=0, high=15),
        "fc": Linear(into),
        "n": neurons(hidden),
        "past": Delay((hidden,), 1),
        "back": Linear(back),
        "fc2": Linear(out),
        "out": neurons(classes, 1),
    }
    edges = [("input", "fc"), ("fc", "n"), ("n", "past"), ("past", "back"), ("back", "n"), ("n", "fc2"), ("fc2", "out")]
    return Graph(nodes, tuple(edges), T, arithmetic)


def test_needs_are_counted_in_weights_that_are_not_zero():
    needs = fill(network(), populations()["xylo-imu"]).needs
    assert needs == {
        "inputs": 16,
        "input_reach": 69,
        "hidden": 70,
        "fan_out": 69,
        "weights": 70 * 69,
        "outputs": 9,
        "output_reach": 3,
    }


@pytest.mark.parametrize(
    ("chip", "hidden", "over"),
    [
        ("xylo-audio2", 70, ("fan_out", "outputs")),
        ("xylo-audio3", 70, ()),
        ("xylo-audio3", 200, ("input_reach", "weights")),
        ("xylo-imu", 70, ()),
        ("xylo-imu", 500, ("input_reach", "hidden", "weights")),
    ],
)
def test_the_limits_that_are_passed_are_named(chip, hidden, over):
    filling = fill(network(hidden), populations()[chip])
    assert filling.over == over
    assert filling.status == ("does not fit" if over else "fits")


def test_the_verb_knows_the_chips_and_what_has_no_place():
    assert fit(network(), "xylo-imu").as_dict()["bounds"]["cores"]["sentence"] == "Xylo-IMU: fits."
    late = network().replace({"past": Delay((70,), 2)})
    assert "after 2 steps, on the chip after 1" in fit(late, "xylo-imu").bounds["cores"].sentence


def test_every_figure_of_a_chip_is_within_its_table():
    """rockpool.ai, Overview of the Xylo family: input channels, hidden and output neurons of its three members."""
    table = {name: (chip.inputs, chip.hidden, chip.outputs) for name, chip in populations().items()}
    assert table == {"xylo-audio2": (16, 1000, 8), "xylo-audio3": (16, 992, 32), "xylo-imu": (16, 496, 16)}
    assert all("rockpool.ai" in chip.source for chip in populations().values())
