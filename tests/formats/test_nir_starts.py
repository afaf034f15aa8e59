"""Where membranes start is not in a NIR file: at 0, at v_leak (Norse) or at v_reset (SpikingJelly)."""

import nir as nir_
import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.target import Request

LEAK, RESET, THRESHOLD, DT, TAU = 0.25, -0.5, 1.0, 1e-4, 4e-4  # exact in binary: rounding decides nothing


def written(path, kind):
    full = {"v_leak": np.full(3, LEAK), "v_reset": np.full(3, RESET), "v_threshold": np.full(3, THRESHOLD)}
    full |= {"r": np.full(3, TAU / DT)}
    if kind == "LIF":
        node = nir_.LIF(tau=np.full(3, TAU), **full)
    else:
        node = nir_.CubaLIF(tau_syn=np.full(3, 2 * DT), tau_mem=np.full(3, TAU), w_in=np.full(3, 2.0), **full)
    nodes = {"input": nir_.Input(np.array([3])), "n": node, "output": nir_.Output(np.array([3]))}
    nir_.write(path, nir_.NIRGraph(nodes, [("input", "n"), ("n", "output")]))


def euler(x, kind, start, reset):
    """The equations of NIR's documents, a step at a time."""
    v, i, spikes = np.full(x.shape[1:], start), np.zeros(x.shape[1:]), []
    for frame in x:
        i = i / 2 + frame if kind == "CubaLIF" else frame
        v = v + (LEAK - v) / 4 + i
        fires = v > THRESHOLD
        v = np.where(fires, {"zero": 0.0, "file": RESET, "none": v}[reset], v)
        spikes.append(fires)
    return np.stack(spikes)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
@pytest.mark.parametrize("reset", ["file", "zero", "none"])
def test_membranes_start_where_they_are_told_to(kind, reset, tmp_path):
    written(tmp_path / "a.nir", kind)
    x = np.random.default_rng(0).integers(-2, 5, (12, 40, 3)) / 8
    trains = {}
    for start, place in {"zero": 0.0, "leak": LEAK, "reset": RESET}.items():
        graph, findings = nir.read(tmp_path / "a.nir", timesteps=12, start=start, reset=reset)
        trains[start] = simulate(graph, x, Request(trains=True)).trains["n"].unpack()
        np.testing.assert_array_equal(trains[start], euler(x, kind, place, reset))
        assert any(f.code == "SP216" and "membranes start at" in f.what for f in findings)
    assert (trains["leak"] != trains["reset"]).any()


@pytest.mark.parametrize("options", [{"spikes": "many", "reset": "none"}, {"reset": "subtract"}, {"drive": "decayed"}])
def test_what_is_taken_off_a_membrane_is_counted_from_0(options, tmp_path):
    written(tmp_path / "a.nir", "LIF")
    with pytest.raises(SpikeportError, match="start elsewhere") as caught:
        nir.read(tmp_path / "a.nir", start="leak", **options)
    assert caught.value.code == "SP210"


def test_tools_have_habits(tmp_path):
    written(tmp_path / "a.nir", "LIF")
    for tool, word in {"norse": "v_leak", "spikingjelly": "v_reset", "snntorch": "0"}.items():
        _, findings = nir.read(tmp_path / "a.nir", written_by=tool)
        assert any(f.what == f"membranes start at {word}" for f in findings)
