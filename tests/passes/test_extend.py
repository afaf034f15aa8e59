"""A network for another number of steps: what its schedules and the weights of its readout become."""

from __future__ import annotations

import nir as peer
import numpy as np
import pytest

from nir_by_hand import ends, graph, normal
from spikeport.engine import simulate
from spikeport.formats import nir, onnx
from spikeport.graph import Graph, Input, Readout
from spikeport.passes.extend import extend

T = 6


def readout(weight, after_end="hold"):
    nodes = {"in": Input((2,), "events"), "out": Readout((2,), np.asarray(weight, np.float32))}
    return Graph.chain(nodes, len(weight), after_end=after_end)


@pytest.mark.parametrize("after_end", ["hold", "cycle"])
@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([1 / 3] * 3, [1 / 6] * 6),  # the mean
        ([0, 0, 2], [0, 0, 0, 0, 0, 2]),  # the last step, twice
        ([1, 1, 1], [1] * 6),  # the sum
    ],
)
def test_a_mean_stays_a_mean_and_the_last_step_the_last(weight, expected, after_end):
    weight = extend(readout(weight, after_end), T)["out"].weight
    np.testing.assert_array_equal(weight, np.asarray(expected, np.float32))


def test_other_weights_hold_or_start_again():
    np.testing.assert_array_equal(extend(readout([1, 2, 3]), 5)["out"].weight, [1, 2, 3, 3, 3])
    np.testing.assert_array_equal(extend(readout([1, 2, 3], "cycle"), 5)["out"].weight, [1, 2, 3, 1, 2])


@pytest.mark.parametrize(("weight", "free"), [([0.5, 0.5], False), ([0, 1], False), ([1, 1], True), ([1, 2], True)])
def test_onnx_runs_other_lengths_only_where_the_weights_say_how(weight, free):
    assert (onnx.build(readout(weight)).graph.input[0].type.tensor_type.shape.dim[0].dim_param != "") == free


@pytest.mark.parametrize("output", ["sum", "mean", "last"])
@pytest.mark.parametrize("timesteps", [None, 4])
def test_what_is_read_of_another_tools_file_does_not_depend_on_the_steps_it_was_read_for(output, timesteps, tmp_path):
    """v = v + dt/tau (v_leak - v + r x), by hand, over 6 frames."""
    start, end = ends([3])
    peer.write(
        tmp_path / "a.nir", graph(input=start, li=peer.LI(np.full(3, 4e-4), np.ones(3), np.zeros(3)), output=end)
    )
    graph_, _ = nir.read(tmp_path / "a.nir", timesteps=timesteps, output=output)
    x, v, steps = normal(T, 2, 3).astype(np.float32), np.zeros((2, 3)), []
    for frame in x:
        v = v + 0.25 * (frame - v)
        steps.append(v)
    expected = {"sum": np.sum(steps, 0), "mean": np.mean(steps, 0), "last": steps[-1]}[output]
    np.testing.assert_allclose(simulate(extend(graph_, T), x).outputs, expected, rtol=1e-5, atol=1e-6)
