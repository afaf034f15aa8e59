"""Six scripts as a newcomer writes them, with what is on disk: of fifteen lines at most, and none ends in an error.

The scripts stand beside this file. Here are only the files that their writers would have had, and what has to come out.
"""

from __future__ import annotations

import ast
import json
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from capture.zoo import without_operators
from spikeport.terminal.app import build

HERE = Path(__file__).parent
SCRIPTS = sorted(path for path in HERE.iterdir() if path.suffix in (".py", ".sh") and not path.stem.startswith("test"))
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def walked(name):
    return runpy.run_path(str(HERE / name))


def lines_of(cell):
    return "".join(cell["source"]).splitlines()


def cells():
    every = json.loads((HERE / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    return [lines_of(cell) for cell in every if cell["cell_type"] == "code"]


def test_there_are_six_and_each_is_short():
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in SCRIPTS}
    lengths["notebook.ipynb"] = sum(map(len, cells()))
    assert len(lengths) == 6
    assert max(lengths.values()) <= 15, lengths


def test_an_snntorch_module_and_a_loader():
    pytest.importorskip("snntorch", reason="snnTorch is not installed")
    space = walked("snntorch_loader.py")
    assert space["comparison"].parity.samples == 100
    assert space["comparison"].parity.argmax_agreement >= 0.9
    assert space["comparison"].causes
    assert space["costs"].estimates


def test_a_spikingjelly_resnet_and_a_folder_of_images(tmp_path):
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
    without_operators()
    pytest.importorskip("torchvision", reason="SpikingJelly's models need torchvision")
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(2):
            pixels = RNG.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    space = walked("spikingjelly_photos.py")
    assert space["evaluation"].samples == 4
    assert (tmp_path / "cores.svg").stat().st_size > 0
    assert [each.code for each in space["evaluation"].findings if "cat, dog" in each.what] == ["SP234"]


def test_a_foreign_nir_file_with_frames_and_a_raster(tmp_path):
    """The spikes are those of NIR's equation, tau dv/dt = v_leak - v + r i, in steps of Euler's, reset to v_reset."""
    nir = pytest.importorskip("nir")
    ones, weight = np.ones(5), RNG.normal(size=(5, 4))
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "fc": nir.Affine(weight, np.zeros(5)),
        "lif": nir.LIF(tau=0.01 * ones, r=20 * ones, v_leak=0 * ones, v_threshold=ones),
        "output": nir.Output({"output": np.array([5])}),
    }
    nir.write(tmp_path / "other.nir", nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")]))
    frames = (RNG.random((20, 3, 4)) < 0.5).astype(np.float32)
    np.save(tmp_path / "frames.npy", frames)
    space = walked("foreign_nir.py")
    v, fired = np.zeros((3, 5)), []
    for frame in frames:
        v = v + 0.1 * (20 * frame @ weight.T - v)  # dt / tau = 0.1
        fired.append(v >= 1)
        v = np.where(fired[-1], 0, v)
    assert np.array_equal(space["record"].trains["lif"].unpack(), fired)
    assert "<svg" in (tmp_path / "raster.svg").read_text("utf-8")
    assert "SP2" in space["page"].read_text("utf-8")  # what the reader chose is in the page


def test_an_onnx_file_in_onnxruntime_alone():
    pytest.importorskip("onnxruntime")
    space = walked("onnx_elsewhere.py")
    assert space["accuracy"] >= 0.95
    assert np.array_equal(space["record"].outputs, space["output"])
    assert np.array_equal(space["record"].trains["dense.neuron"].unpack(), space["spikes"] > 0)


def test_a_ci_job_with_gates(tmp_path):
    """Each command passes; a gate that is asked too much of fails with 1, and JSON says which."""
    for line in (HERE / "gates.sh").read_text("utf-8").splitlines():
        result = CliRunner().invoke(build(), shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"
    assert json.loads(result.stdout)["accuracy"] > 0.9
    assert (tmp_path / "page" / "report.html").is_file()
    line = "compare digits-conv model.int.nir --data digits --limit 50 --max-spike-mismatch 0 --json"
    result = CliRunner().invoke(build(), shlex.split(line))
    assert result.exit_code == 1
    assert [gate["code"] for gate in json.loads(result.stdout)["failed"]] == ["SP810"]


def test_a_notebook_whose_results_show_themselves():
    space = {"__name__": "notebook"}
    for lines in cells():
        *before, last = ast.parse("\n".join(lines)).body
        exec(compile(ast.Module(before, []), "notebook", "exec"), space)
        assert isinstance(last, ast.Expr)
        shown = eval(compile(ast.Expression(last.value), "notebook", "eval"), space)
        assert "<" in shown._repr_html_()
        assert len(repr(shown)) < 1000
