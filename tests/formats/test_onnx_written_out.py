"""ONNX models of other tools: data beside them, outputs of theirs that are none, and what is refused with its name."""

from __future__ import annotations

import numpy as np
import onnx as peer
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from exported import export
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.target import Request
from spikeport.verbs.load import load_model

T = 4
f4 = np.float32


class Net(nn.Module):
    """Two layers that are reset to 0, over frames [T, B, 6]; ``ends`` says what it returns of the last one."""

    def __init__(self, ends=("spikes",)):
        super().__init__()
        self.a, self.b, self.ends = nn.Linear(6, 12), nn.Linear(12, 3), ends

    def forward(self, x):
        v, w, seen = torch.zeros(x.shape[1], 12), torch.zeros(x.shape[1], 3), {"spikes": [], "membranes": []}
        for t in range(T):
            v = 0.5 * v + 2 * self.a(x[t])
            z = (v > 1).float()
            v = v * (1 - z)
            w = 0.75 * w + 2 * self.b(z)
            y = (w > 0.5).float()
            w = w * (1 - y)
            seen["spikes"].append(y)
            seen["membranes"].append(w)
        results = tuple(torch.stack(seen[end]) for end in self.ends)
        return results if len(results) > 1 else results[0].sum(0)


def written(folder, build=Net, **options):
    torch.manual_seed(1)
    return export(build(), torch.zeros(T, 1, 6), folder / "model.onnx", newer=False, **options)


def refused(path):
    with pytest.raises(SpikeportError) as error:
        load_model(path)
    assert all(finding.where.startswith(str(path)) for finding in error.value.findings)
    return error.value.findings


# -- data beside the model ---------------------------------------------------------------------------------------------


def beside(path):
    """The same model with its weights in a file beside it, as torch's newer exporter writes them."""
    model = peer.load(path)
    peer.save_model(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    return path


def test_weights_in_a_file_beside_the_model_are_read(tmp_path):
    whole = load_model(written(tmp_path)).graph
    apart = load_model(beside(written(tmp_path))).graph
    assert (tmp_path / "model.onnx.data").stat().st_size >= 4 * (6 * 12 + 12 + 12 * 3 + 3)
    assert apart == whole


def test_weights_beside_a_model_that_are_not_there(tmp_path):
    path, data = beside(written(tmp_path)), tmp_path / "model.onnx.data"
    kept = data.read_bytes()
    data.write_bytes(kept[:-1])
    (finding,) = refused(path)
    assert (finding.code, "holds no data" in finding.what) == ("SP250", True)
    data.unlink()
    (finding,) = refused(path)
    assert (finding.code, "there is no such file" in finding.what) == ("SP250", True)


@pytest.mark.parametrize(
    "field",
    [
        ("offset", "-4"),
        ("offset", "1_0"),
        ("length", "7"),
        ("length", "x"),
        ("location", ""),
        ("location", "model.onnx"),
        ("location", "a\0b"),
        ("location", "a" * 300),
    ],
)
def test_damaged_notes_of_where_weights_lie(field, tmp_path):
    path = beside(written(tmp_path))
    model = peer.ModelProto.FromString(path.read_bytes())
    tensor = model.graph.initializer[0]
    kept = {entry.key: entry.value for entry in tensor.external_data} | dict([field])
    del tensor.external_data[:]
    for key, value in kept.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    assert [finding.code for finding in refused(path)] == ["SP250"]


def test_an_absolute_place_is_not_opened(tmp_path):
    path = beside(written(tmp_path))
    model = peer.ModelProto.FromString(path.read_bytes())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "model.onnx.data").rename(tmp_path / "elsewhere" / "data")
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = str(tmp_path / "elsewhere" / "data") if entry.key == "location" else entry.value
    path.write_bytes(model.SerializeToString())
    (finding,) = refused(path)
    assert "no file of the model's own folder" in finding.what


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "inside").mkdir()
    path, data = beside(written(tmp_path / "inside")), tmp_path / "inside" / "model.onnx.data"
    data.rename(tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    (finding,) = refused(path)
    assert "no file of the model's own folder" in finding.what


# -- outputs -----------------------------------------------------------------------------------------------------------


def test_trains_and_the_membranes_behind_a_reset_leave_the_trains(tmp_path):
    model = load_model(written(tmp_path, lambda: Net(("spikes", "membranes"))))
    assert [finding.code for finding in model.findings] == ["SP259", "SP385"]
    assert len(model.graph.outputs) == 1
    one = load_model(written(tmp_path)).graph
    x = np.random.default_rng(2).standard_normal((T, 7, 6)).astype(f4)
    np.testing.assert_allclose(simulate(model.graph, x).outputs, simulate(one, x).outputs)


@pytest.mark.parametrize("name", ["digits-conv", "vowels-recurrent"])
def test_a_portable_file_of_ours_whose_metadata_another_tool_dropped(name, tmp_path):
    """Recurrent networks too: every spike and every output to the bit, in as many nodes."""
    graph, path = load_model(name).graph, tmp_path / "portable.onnx"
    onnx.write(graph, path, portable=True)
    model = peer.load(path)
    del model.metadata_props[:]
    path.write_bytes(model.SerializeToString())
    again = load_model(path)
    assert again.findings[0].code == "SP259"
    assert (len(again.graph.nodes), len(again.graph.outputs)) == (len(graph.nodes), 1)
    lead = (graph.timesteps, 9) if graph.entry.coding == "events" else (9,)
    x = np.random.default_rng(3).random((*lead, *graph.entry.shape)).astype(f4)
    before, after = (simulate(each, x, Request(trains=True)) for each in (graph, again.graph))
    np.testing.assert_array_equal(before.outputs, after.outputs)
    for one, other in zip(before.trains.values(), after.trains.values(), strict=True):
        np.testing.assert_array_equal(one.unpack(), other.unpack())


# -- what is refused ---------------------------------------------------------------------------------------------------


def changed(path, change):
    model = peer.load(path)
    change(model.graph)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_operator_that_nobody_knows_is_named(tmp_path):
    def softened(graph):
        (last,) = graph.output
        graph.node.append(helper.make_node("Hardmax", [last.name], ["soft"], name="soft"))
        last.name = "soft"

    findings = refused(changed(written(tmp_path), softened))
    assert [finding.code for finding in findings] == ["SP251", "SP258"]
    assert "'soft': Hardmax" in findings[0].what


def test_a_membrane_that_is_squared_is_named_once_for_all_steps(tmp_path):
    class Squared(Net):
        def forward(self, x):
            v, total = torch.zeros(x.shape[1], 12), 0.0
            for t in range(T):
                v = 0.5 * v * v + self.a(x[t])
                z = (v > 1).float()
                v, total = v - z, total + self.b(z)
            return total

    findings = refused(written(tmp_path, Squared))
    assert findings[-1].code == "SP258"
    assert "operator '/Mul" in findings[0].where
    assert len({(finding.code, finding.what) for finding in findings}) == len(findings)


@pytest.mark.parametrize("size", [2**31, 2**62])
def test_an_input_of_an_absurd_size(size, tmp_path):
    def wide(graph):
        graph.input[0].type.tensor_type.shape.dim[1].dim_value = size

    findings = refused(changed(written(tmp_path), wide))
    assert [finding.code for finding in findings] == ["SP251", "SP258"]
    assert str(size) in findings[0].what


def test_a_repeat_that_claims_more_than_memory(tmp_path):
    def tiled(graph):
        graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 2**40]), "times"))
        entry = graph.input[0].name
        for operator in graph.node:
            operator.input[:] = ["many" if name == entry else name for name in operator.input]
        graph.node.insert(0, helper.make_node("Tile", [entry, "times"], ["many"]))

    findings = refused(changed(written(tmp_path), tiled))
    assert [finding.code for finding in findings] == ["SP251", "SP258"]


@pytest.mark.parametrize("steps", [0, -1])
def test_no_timesteps_at_all(steps, tmp_path):
    with pytest.raises(SpikeportError) as error:
        load_model(written(tmp_path), timesteps=steps)
    assert error.value.code == "SP384"


def test_images_of_whole_numbers_that_are_cast_first(tmp_path):
    class Bytes(Net):
        def forward(self, x):
            return super().forward(x.float())

    torch.manual_seed(1)
    path = export(Bytes(), torch.zeros(T, 1, 6, dtype=torch.uint8), tmp_path / "model.onnx", newer=False)
    x = np.random.default_rng(5).integers(0, 9, (T, 7, 6)).astype(f4)
    one = load_model(path).graph
    assert simulate(one, x).outputs.sum() > 0
    np.testing.assert_array_equal(simulate(one, x).outputs, simulate(load_model(written(tmp_path)).graph, x).outputs)


@pytest.mark.timeout(60)
def test_sums_that_double_sixty_times(tmp_path):
    class Doubled(Net):
        def forward(self, x):
            for _ in range(60):
                x = x + x
            return super().forward(x / 2.0**60)

    model = load_model(written(tmp_path, Doubled))
    x = np.random.default_rng(6).standard_normal((T, 7, 6)).astype(f4)
    one = load_model(written(tmp_path)).graph
    np.testing.assert_array_equal(simulate(model.graph, x).outputs, simulate(one, x).outputs)


def test_axes_that_nobody_knows(tmp_path):
    def opened(graph):
        for axis in (0, 1, 2):
            graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"n{axis}"

    findings = refused(changed(written(tmp_path), opened))
    assert [finding.code for finding in findings] == ["SP384"]
    assert "pass timesteps=T" in findings[0].mend


def test_a_model_that_is_half_ours_is_read_as_ours(tmp_path):
    """Comparisons beside our functions are refused as before: the functions would have to be written out first."""
    path = tmp_path / "model.onnx"
    onnx.write(load_model(written(tmp_path)).graph, path)

    def compared(graph):
        (last,) = graph.output[:1]
        graph.initializer.append(numpy_helper.from_array(np.array(0.5, f4), "half"))
        graph.node.append(helper.make_node("Greater", [last.name, "half"], ["over"]))
        graph.node.append(helper.make_node("Cast", ["over"], ["out"], to=TensorProto.FLOAT))
        last.name = "out"

    with pytest.raises(SpikeportError) as error:
        load_model(changed(path, compared))
    assert "SP259" not in {finding.code for finding in error.value.findings}
