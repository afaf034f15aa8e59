"""What a .net file may hold that cannot run, or damaged: one coded error each, which names the layer."""

from __future__ import annotations

import numpy as np
import pytest

from net_files import conv, dense, neurons, write
from spikeport.findings import SpikeportError
from spikeport.formats import lava_dl

SIGNALLING = np.full((2, 2), 0x7FA00000, np.uint32).view(np.float32)  #: NaN that says so when it is cast
LAYER = dense([[2, 4], [6, -8]])
BARE = {name: value for name, value in LAYER.items() if name != "neuron"}
#: each within 8 bits, but not in one format
BOTH = dense([[1, 99]], weight_rec=np.array([[-190.0]])) | {"type": "dense_rec"}
BACK = dense([[2, 4], [6, -8]], weight_rec=np.eye(2), delay=1.0) | {"type": "dense_rec"}
CONV = conv(np.ones((1, 1, 2, 2)), [1, 2, 2])
POOL = CONV | {"type": "pool", "stride": (2, 2), "shape": [1, 1, 1]}
INPUT = {"type": "input", "shape": [1, 3, 3]}


def refused(tmp_path, layers, timesteps=4):
    with pytest.raises(SpikeportError) as caught:
        lava_dl.read(write(tmp_path / "a.net", layers), timesteps)
    return caught.value.findings


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([LAYER | {"neuron": {"type": b"SDNN", "vThMant": 6}}], "by how much a value changed"),
        ([LAYER | {"neuron": {"type": b"RF_IZ", "vThMant": 6}}], "complex states"),
        ([LAYER | {"neuron": neurons(refDelay=3)}], "refDelay = 3"),
        ([LAYER | {"neuron": neurons(gradedSpike=True)}], "gradedSpike = 1"),
        ([LAYER | {"neuron": neurons(wgtExp=2)}], "wgtExp = 2"),
        ([LAYER | {"neuron": neurons(vDecay=4096)}], "vDecay spans 4096 … 4096, beyond 0 … 4095"),
        ([LAYER | {"neuron": neurons(iDecay=[0, 5])}], "iDecay spans 0 … 5"),
        ([LAYER | {"neuron": neurons(vThMant=-20)}], "vThMant spans -20 … -20"),
        ([LAYER | {"bias": np.array([0, 9000])}], "bias spans 0 … 9000"),
        ([BOTH], "weights between -190 and 99 are finer than 8 bits"),
        ([BARE | {"bias": np.ones(2)}], "has no neurons but a bias"),
        ([BARE | {"type": "dense_rec", "weight_rec": np.eye(2)}], "has no neurons"),
        ([BARE, LAYER], "behind a layer without neurons"),
        ([LAYER, {"type": "average", "shape": [1]}], "'average'"),
        ([LAYER, INPUT], "behind another layer"),
        ([CONV | {"stride": (1, 2)}], "how large that is"),
        ([INPUT, CONV | {"delay": 2.0}], "its last layer has delays"),
        ([INPUT, POOL], "pools [1, 3, 3] by [2, 2]"),
        ([INPUT, POOL | {"stride": (1, 1), "shape": [1, 2, 2]}], "mix its channels"),
        ([BACK], "feeds back, and has delays"),
        ([dense([[1, 254], [3, -7]])], "finer than 8 bits"),
    ],
)
def test_what_cannot_run_is_refused_with_the_layer(tmp_path, layers, why):
    (finding,) = refused(tmp_path, layers)
    assert finding.code == "SP227"
    assert why in f"{finding.what} {finding.why}"
    assert finding.where.endswith("a.net" if "last layer" in why else f"a.net, layer {len(layers) - 1}")


def test_what_several_layers_have_is_said_once(tmp_path):
    other = LAYER | {"neuron": {"type": b"SDNN", "vThMant": 6}}
    (finding,) = refused(tmp_path, [other, other, LAYER])
    assert finding.where.endswith("a.net, layers 0, 1")


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ([LAYER | {"weight": np.ones((3, 2))}], "does not lead to 2 neurons"),
        ([{name: value for name, value in LAYER.items() if name != "weight"}], "there is no weight"),
        ([LAYER | {"weight": np.full((2, 2), np.nan)}], "no whole numbers within 32 bits"),
        ([LAYER | {"weight": np.full((2, 2), 1e300)}], "no whole numbers within 32 bits"),
        ([LAYER | {"weight": SIGNALLING}], "no whole numbers within 32 bits"),
        ([LAYER | {"weight": b"many"}], "weight is missing, or no numbers"),
        ([LAYER | {"bias": np.ones(3)}], "a bias of shape [3]"),
        ([LAYER | {"delay": -1.0}], "a delay of -1 steps"),
        ([INPUT], "holds no layer but its input"),
        ([INPUT | {"shape": [0, 3, 3]}], "its shape is [0, 3, 3]"),
        ([LAYER | {"delay": np.ones(3)}], "delays of shape [3]"),
        ([LAYER | {"neuron": neurons(vDecay=np.ones(3))}], "vDecay of shape [3]"),
        ([LAYER | {"neuron": {**neurons(), "type": 3}}], "type is missing, or no word"),
        ([LAYER | {"type": 3}], "type is missing, or no word"),
        ([LAYER | {"neuron": 3}], "there is no group 'neuron'"),
        ([LAYER | {"shape": []}], "shape holds no whole numbers"),
        ([INPUT, CONV | {"shape": [1, 3, 2]}], "says that [1, 3, 2] leave it, and [1, 2, 2] do"),
        ([INPUT, CONV | {"stride": np.ones(3)}], "stride holds 3 numbers"),
        ([CONV | {"padding": (9, 0)}], "of which nothing would enter"),
        ([INPUT, CONV | {"groups": np.ones(2)}], "groups holds 2 numbers"),
        ([INPUT, CONV | {"weight": np.ones((1, 1, 2, 2, 2))}], "weight has the shape"),
        ([INPUT, CONV | {"delay": np.ones(3)}], "delays of shape [3] for 1 channels"),
        ([LAYER, POOL], "which is no map"),
        ([{"type": "input", "shape": [9], "neuron": {"type": b"CUBA"}}], "iDecay is missing"),
    ],
)
def test_what_is_damaged_is_refused(tmp_path, layers, what):
    findings = refused(tmp_path, layers)
    assert findings[0].code == "SP202"
    assert what in findings[0].what


@pytest.mark.parametrize(("names", "code"), [(["0", "2"], "SP202"), ([], "SP202"), (["first"], "SP202")])
def test_layers_are_numbered_from_nothing(tmp_path, names, code):
    import h5py

    with h5py.File(tmp_path / "a.net", "w") as file:
        group = file.create_group("layer")
        for name in names:
            group.create_group(name)["type"] = b"dense"
    with pytest.raises(SpikeportError, match="numbered from 0") as caught:
        lava_dl.read(tmp_path / "a.net")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "layers",
    [
        [{"type": "input", "shape": [1 << 20, 1 << 20], "neuron": neurons()}],
        [POOL | {"shape": [1 << 30, 1, 1]}],
        [{"type": "input", "shape": [1, 1 << 13, 1 << 13]}, CONV | {"shape": [1, 8191, 8191], "delay": 3.0}],
    ],
)
def test_more_than_a_file_can_mean_is_refused_before_memory_is(tmp_path, layers):
    (finding,) = refused(tmp_path, layers)
    assert (finding.code, "values leave" in finding.what) == ("SP207", True)


def test_a_late_channel_and_a_kernel_that_does_not_fit(tmp_path):
    late = CONV | {"delay": 2.0, "weight": np.ones((3, 1, 2, 2)), "shape": [3, 2, 2]}
    grouped = conv(np.ones((2, 1, 1, 1)), [2, 2, 2], groups=2)
    assert refused(tmp_path, [INPUT, late, grouped])[0].code == "SP106"


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.net"
    for content, code, what in ((b"", "SP201", "is empty"), (b"resnet", "SP201", "not a Lava-DL file")):
        path.write_bytes(content)
        with pytest.raises(SpikeportError, match=what) as caught:
            lava_dl.read(path)
        assert caught.value.code == code
    with pytest.raises(SpikeportError, match="no such file"):
        lava_dl.read(tmp_path / "b.net")
    write(path, [LAYER])
    with pytest.raises(SpikeportError, match="timesteps is 0"):
        lava_dl.read(write(tmp_path / "c.net", [LAYER], samples=0))
    with pytest.raises(SpikeportError, match="timesteps is -3"):
        lava_dl.read(path, -3)
