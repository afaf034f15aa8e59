"""What another tool's NIR file leaves open: every choice is said, has its option, and computes what the rule says."""

from __future__ import annotations

import nir as peer
import numpy as np
import pytest
from typer.testing import CliRunner

from nir_by_hand import cuba, ends, graph, lif, normal
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF
from spikeport.passes.extend import extend
from spikeport.target import Request
from spikeport.terminal.app import build

DT = 1e-3
T = 12


def test_every_choice_is_said_with_its_flag(tmp_path):
    start, end = ends([5])
    peer.write(tmp_path / "a.nir", graph(input=start, node=lif(5), output=end))
    _, findings = nir.read(tmp_path / "a.nir", DT)
    assert {finding.severity for finding in findings} == {"note"}
    flags = " ".join(finding.mend for finding in findings)
    assert all(
        flag in flags
        for flag in ("--dt", "--nir rule", "--nir compare", "--nir reset", "--nir coding", "--timesteps", "--frames")
    )


def test_the_exponential_rule_is_the_exact_solution_for_a_constant_input(tmp_path):
    start, end = ends([1])
    neuron = peer.LI(np.array([5e-3]), np.array([2.0]), np.array([0.5]))
    peer.write(tmp_path / "a.nir", graph(input=start, node=neuron, output=end))
    ours, _ = nir.read(tmp_path / "a.nir", DT, timesteps=9, rule="exponential", output="last")
    record = simulate(ours.with_(arithmetic=type(ours.arithmetic)("float64")), np.full((9, 1, 1), 0.3))
    expected = (0.5 + 2.0 * 0.3) * (1 - np.exp(-9e-3 / 5e-3))
    np.testing.assert_allclose(record.outputs, [[expected]], rtol=1e-6)


def test_a_network_of_another_tool_runs_as_many_steps_as_one_likes(tmp_path):
    start, end = ends([5])
    peer.write(tmp_path / "a.nir", graph(input=start, node=lif(5), output=end))
    once, _ = nir.read(tmp_path / "a.nir", DT)
    assert extend(once, T) == nir.read(tmp_path / "a.nir", DT, timesteps=T)[0]
    with pytest.raises(SpikeportError, match="not for 3") as caught:
        extend(extend(once, T).with_(after_end="error"), 3)
    assert caught.value.code == "SP113"


def code(path, *args, **options):
    with pytest.raises(SpikeportError) as caught:
        nir.read(path, *args, **options)
    return caught.value


def test_all_that_is_wrong_is_named_at_once(tmp_path):
    import h5py

    start, end = ends([5])
    peer.write(tmp_path / "a.nir", graph(input=start, node=lif(5), other=lif(5), output=end))
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        for name in ("node", "other"):
            del file[f"node/nodes/{name}/type"]
            file[f"node/nodes/{name}/type"] = "Dream"
    error = code(tmp_path / "a.nir")
    assert [finding.where for finding in error.findings] == [
        f"{tmp_path / 'a.nir'}, node {n!r}" for n in ("node", "other")
    ]
    assert error.code == "SP210"


def test_a_step_longer_than_a_time_constant_is_refused(tmp_path):
    start, end = ends([5])
    peer.write(tmp_path / "a.nir", graph(input=start, node=lif(5), output=end))
    assert code(tmp_path / "a.nir", 1.0).code == "SP213"
    assert nir.read(tmp_path / "a.nir", 1.0, rule="exponential")[0].nodes_of(LIF)


def test_a_number_that_float32_cannot_hold_is_refused(tmp_path):
    """It would become an infinite threshold, and the neurons would fall silent."""
    start, end = ends([5])
    weight = peer.Linear(np.eye(5, dtype=np.float32))
    network = graph(input=start, w=weight, node=lif(5, v_threshold=np.full(5, 1e300)), output=end)
    peer.write(tmp_path / "a.nir", network)
    assert code(tmp_path / "a.nir").code == "SP202"


@pytest.mark.parametrize("options", [{"rule": "guess"}, {"written_by": "me"}, {"colour": "red"}, {"timesteps": 0}])
def test_unknown_options_are_refused(tmp_path, options):
    assert code(tmp_path / "a.nir", **options).code == "SP206"


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_the_exponential_rule_leaps_over_a_step_of_constant_drive(kind, tmp_path):
    """tau v' = v_leak - v + r x, solved exactly over each step; the current of CubaLIF likewise, held over a step."""
    start, end = ends([5])
    node = lif(5) if kind == "LIF" else cuba(5)
    peer.write(tmp_path / "a.nir", graph(input=start, node=node, output=end))
    frames = normal(T, 4, 5)
    ours, findings = nir.read(tmp_path / "a.nir", DT, timesteps=T, rule="exponential")
    record = simulate(ours.with_(arithmetic=type(ours.arithmetic)("float64")), frames, Request(trains=True))
    assert any("exponential" in finding.what for finding in findings)
    i = v = np.zeros((4, 5))
    for t, x in enumerate(frames):
        if kind == "CubaLIF":
            fade = np.exp(-DT / node.tau_syn)
            x = i = fade * i + (1 - fade) * node.w_in * x
        leak = np.exp(-DT / (node.tau if kind == "LIF" else node.tau_mem))
        v = leak * v + (1 - leak) * (node.v_leak + node.r * x)
        fired = v > node.v_threshold
        np.testing.assert_array_equal(record.trains["node"].unpack()[t], fired)
        v = np.where(fired, node.v_reset, v)
    assert 0 < record.trains["node"].unpack().mean() < 1


@pytest.mark.parametrize(
    ("changes", "where"),
    [([("node", "nowhere")], "'nowhere'"), ([("nobody", "node")], "'nobody'"), ([("input", "node")], "twice")],
)
def test_edges_to_nowhere_and_repeated_ones_are_named(changes, where, tmp_path):
    import h5py

    start, end = ends([5])
    network = graph(input=start, node=lif(5), output=end)
    peer.write(tmp_path / "a.nir", network)
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        edges = [*network.edges, *changes]
        del file["node/edges"]
        file["node/edges"] = edges
    error = code(tmp_path / "a.nir")
    assert error.code == "SP211"
    assert where in str(error)


def test_the_command_line_sets_dt_and_conventions(tmp_path):
    """spikeport export theirs.nir --dt --nir: the decay follows, and choices are said."""
    start, end = ends([5])
    values = {"tau": 8e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.4, "v_reset": 0.0}
    neuron = peer.LIF(**{name: np.full(5, value) for name, value in values.items()})
    peer.write(tmp_path / "a.nir", graph(input=start, node=neuron, output=end))
    for options, decay, said in (
        ([], 1 - 1e-4 / 8e-3, "dt = 0.0001 s"),
        (["--dt", "2e-3"], 0.75, "dt = 0.002 s"),
        (["--dt", "2e-3", "--nir", "rule=exponential"], np.exp(-0.25), "exponential"),
    ):
        command = ["export", str(tmp_path / "a.nir"), "--out", str(tmp_path / "b.onnx"), *options]
        done = CliRunner().invoke(build(), command)
        assert done.exit_code == 0, done.output
        assert said in " ".join(done.output.split())
        ours, _ = onnx.read(tmp_path / "b.onnx")
        assert ours["node"].decay == pytest.approx(decay, rel=1e-6)
