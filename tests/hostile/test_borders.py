"""What small files claim, and what they hold besides: each ends in the one code that the catalogue has for it."""

from __future__ import annotations

import gzip
import io
import json
import resource
import tarfile
import zipfile

import numpy as np
import pytest

from data_files import code
from format_mutants import original
from hostile.data_files import cifar, idx
from hostile.model_files import small
from hostile.result_files import results
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.formats import nir, onnx
from spikeport.reading import json_value, npy, toml_tables
from spikeport.record import Record
from spikeport.reporting.svg import drawing
from spikeport.training import recipe
from spikeport.verbs.load import load_data
from spikeport.verbs.report import report


def header(shape, kind="<f4"):
    """A .npy file that claims an array, with 8 bytes of it."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": kind, "fortran_order": False, "shape": shape})
    return out.getvalue() + bytes(8)


@pytest.mark.parametrize(
    "data",
    [
        header((2**40,)),
        header((2**31, 2**31, 2**31)),
        header((), "<f16"),
        header((1,), "|O"),
        b"\x93NUMPY\x01\0\xff\xff",
    ],
)
def test_arrays_that_claim_too_much_or_are_no_numbers(data, tmp_path):
    (tmp_path / "x.npy").write_bytes(data)
    assert code(load_data, str(tmp_path / "x.npy"), "test", small()) == "SP907"


def test_numbers_in_another_byte_order_are_those_numbers():
    out = io.BytesIO()
    np.save(out, np.arange(5, dtype=">f8"))
    out.seek(0)
    assert npy(out, len(out.getvalue())).tolist() == [0, 1, 2, 3, 4]


def test_a_member_of_an_archive_that_is_larger_than_the_memory_there_is(tmp_path):
    with zipfile.ZipFile(tmp_path / "r.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.npy", b"x")
    raw = bytearray((tmp_path / "r.npz").read_bytes())
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")  # its size, in the directory
    (tmp_path / "r.npz").write_bytes(raw)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**43, hard))
    try:
        assert code(Record.load, tmp_path / "r.npz") == "SP120"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("text", ["[" * 10_000, "9" * 6000, "a" * 3 + ".a" * 5000 + " = 1"])
def test_depth_and_length_of_settings_are_bounded(text, tmp_path):
    (tmp_path / "r.toml").write_text(f"x = {text}" if text[0] in "[9" else text)
    assert code(recipe.read, tmp_path / "r.toml") == "SP312"
    with pytest.raises(ValueError, match=r"nests|digits|Extra|Expecting|parts|Invalid"):
        json_value(text)


def test_a_deep_table_is_refused_by_its_depth():
    with pytest.raises(ValueError, match="nests deeper"):
        toml_tables("x = " + "[" * 70 + "]" * 70)


def test_images_and_labels_of_different_sets(tmp_path):
    from spikeport_models.datasets.idx import FILES, fashion

    (_, images), (_, labels) = idx(tmp_path)
    fewer = gzip.compress(gzip.decompress(labels)[:4] + (19).to_bytes(4, "big") + bytes(19))
    beyond = gzip.compress(gzip.decompress(labels)[:-1] + b"\x0a")
    for wrong in (fewer, beyond):
        for names in FILES.values():
            (tmp_path / names[0]).write_bytes(images)
            (tmp_path / names[1]).write_bytes(wrong)
        assert code(fashion, "test", tmp_path) == "SP362"


def test_an_archive_whose_member_is_a_link_to_itself(tmp_path):
    from spikeport_models.datasets.cifar import cifar10

    ((_, good),) = cifar(tmp_path)
    (tmp_path / "good.tar.gz").write_bytes(good)
    assert cifar10("test", tmp_path / "good.tar.gz")[0].shape == (4, 3, 32, 32)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        link.type, link.linkname = tarfile.SYMTYPE, link.name
        archive.addfile(link)
    assert code(cifar10, "test", tmp_path / "a.tar") == "SP362"


def test_a_weight_of_an_onnx_file_that_was_changed_is_not_passed_over(tmp_path):
    import onnx as peer

    onnx.write(original(metadata=False), tmp_path / "a.onnx")
    assert onnx.read(tmp_path / "a.onnx")[1] == ()
    model = peer.load(tmp_path / "a.onnx")
    tensor = next(t for t in model.graph.initializer if t.name == "fc/weight")
    tensor.raw_data = bytes(4) + tensor.raw_data[4:]
    peer.save(model, tmp_path / "a.onnx")
    graph, notes = onnx.read(tmp_path / "a.onnx")
    assert [note.code for note in notes] == ["SP252"]
    assert any(getattr(node, "weight", np.ones(1)).flat[0] == 0 for node in graph.nodes.values())


def test_what_a_message_quotes_is_bounded(tmp_path):
    import h5py

    with pytest.raises(SpikeportError) as caught:
        fail("SP902", "x" * 10**6, where="y" * 10**6)
    assert len(str(caught.value)) < 3000
    nir.write(original(), tmp_path / "a.nir", thresholds="approx")
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        for group in (file["node"], *file["node/nodes"].values()):
            if "metadata" in group:
                del group["metadata"]
        del file["node/nodes/conv/stride"]
        file["node/nodes/conv"].create_dataset("stride", (10**7,), "f8", chunks=(1000,), fillvalue=1.5)
    with pytest.raises(SpikeportError, match="10,000,000 values") as caught:
        nir.read(tmp_path / "a.nir")
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize(
    "evil",
    [
        "<svg><script>alert(1)</script></svg>",
        '<svg onload="alert(1)"></svg>',
        '<svg><path style="fill:url(http://x)"/></svg>',
        '<!DOCTYPE a [<!ENTITY b "c">]><svg>&b;</svg>',
        '<svg><a href="x">y</a></svg>',
        "<svg><image/></svg>",
    ],
)
def test_figures_are_data_and_nothing_of_them_is_markup(evil, tmp_path):
    with pytest.raises(SpikeportError, match="none of ours"):
        drawing(evil)
    parts = json.loads(results(tmp_path)[0][1])
    parts["figures.json"]["graph"] = evil
    for name, facts in parts.items():
        (tmp_path / name).write_text(json.dumps(facts))
    assert code(report, tmp_path) == "SP820"


def test_a_finding_keeps_what_is_short():
    assert Finding("SP902", "x" * 1000).what == "x" * 1000
