"""Files of data sets in their true formats, written byte by byte."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest

from spikeport.findings import SpikeportError


def code(call, *args, **options):
    """The code of the refusal of a call, which says how to mend it."""
    with pytest.raises(SpikeportError) as error:
        call(*args, **options)
    assert error.value.findings[0].mend or error.value.code == "SP362"
    return error.value.code


def cifar_folder(folder, kind, *, tests=None, test_labels=None):
    """The official layout of CIFAR's python archives, few images, pickled as Python 2 did (protocol 2, byte strings).

    Returns the folder and, by file, the pixels [N, 3072] and the labels.
    """
    inner, labels, names, classes = {
        "cifar10": ("cifar-10-batches-py", b"labels", [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"], 10),
        "cifar100": ("cifar-100-python", b"fine_labels", ["train", "test"], 100),
    }[kind]
    (folder / inner).mkdir(exist_ok=True)
    rng, pixels = np.random.default_rng(5), {}
    for name in names:
        count = 200 if kind == "cifar10" else 1000
        if name.startswith("test") and tests is not None:
            count = tests
        y = np.arange(count) % classes
        if name.startswith("test") and test_labels is not None:
            y = np.asarray(test_labels)
        blocks = rng.integers(0, 256, (count, 3, 4, 4), dtype=np.uint8)  # coarse, as pictures are, and noise
        noise = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        pictures = blocks.repeat(8, -1).repeat(8, -2) // 4 * 3 + noise // 4
        pictures[..., 0, 0], pictures[..., 0, 1] = 0, 255  # so that few images span what all may hold
        pixels[name] = pictures.reshape(count, 3072), y
        batch = {b"data": pixels[name][0], labels: y.tolist(), b"batch_label": b"a batch"}
        raw = pickle.dumps(batch, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        (folder / inner / name).write_bytes(raw)
    return folder / inner, pixels


def aedat_or_skip():
    """Skip a test of .aedat4 files where what reads or writes them is not installed."""
    pytest.importorskip("aedat", reason="reads .aedat4: pip install 'spikeport[events]'")
    pytest.importorskip("flatbuffers", reason="the test writes .aedat4 with it")


def aedat4(packets, *, kind="EVTS"):
    """The bytes of an .aedat4 file of one stream: magic, a flatbuffer with an XML description, packets of events.

    ``packets``: lists of (microseconds, column, row, polarity). Format: docs.inivation.com, AEDAT 4.0.
    """
    import flatbuffers

    def table(fields, slot, value, name):
        builder.StartObject(fields)
        builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        builder.FinishSizePrefixed(builder.EndObject(), name)
        return bytes(builder.Output())

    size = "".join(f'<attr key="size{axis}" type="int">128</attr>' for axis in "XY")
    stream = f'<attr key="typeIdentifier" type="string">{kind}</attr><node name="info">{size}</node>'
    builder = flatbuffers.Builder(256)
    text = builder.CreateString(f'<dv version="2.0"><node name="outInfo"><node name="0">{stream}</node></node></dv>')
    body = b"#!AER-DAT4.0\r\n" + table(3, 2, text, b"IOHE")
    for events in packets:
        builder = flatbuffers.Builder(256)
        builder.StartVector(16, len(events), 8)
        for t, x, y, p in reversed(events):
            builder.Prep(8, 16)
            builder.Pad(3)
            builder.PrependBool(bool(p))
            builder.PrependInt16(y)
            builder.PrependInt16(x)
            builder.PrependInt64(t)
        packet = table(1, 0, builder.EndVector(), b"EVTS")
        body += struct.pack("<ii", 0, len(packet)) + packet
    return body


def nmnist_bytes(t, x, y, p):
    """Byte 0 column, 1 row, then one bit of polarity and 23 bits of microseconds (Orchard et al. 2015)."""
    return b"".join(
        bytes([a, b]) + (int(c) << 23 | int(d)).to_bytes(3, "big") for a, b, c, d in zip(x, y, p, t, strict=True)
    )
