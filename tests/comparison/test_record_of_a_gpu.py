"""A record that a GPU wrote, held against each stage later, on a machine without one: NIR, ONNX, integers, Lava.

`tests/gpu/write_record.py` trains a network on a card and writes its record there. Until somebody with a card has run
it the same journey goes with a record that is made here and says that it is a card's (docs/gpu.md).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeport.engine import devices
from spikeport.record import Record
from spikeport.target import target
from spikeport.verbs.compare import compare
from spikeport.verbs.export import export
from spikeport.verbs.load import load_model
from spikeport.verbs.quantize import quantize
from spikeport.verbs.simulate import simulate

CARD = Path(__file__).parents[1] / "gpu" / "card"
awaited = pytest.mark.skipif(
    not (CARD / "record.npz").exists(), reason="no card has written its record yet: python tests/gpu/write_record.py"
)


@pytest.fixture(params=["made here", pytest.param("of a card", marks=awaited)])
def there(request, tmp_path):
    """A network, samples, and the path of the record that a card wrote of them."""
    if request.param == "of a card":
        return load_model(str(CARD / "model.safetensors")), np.load(CARD / "samples.npy"), CARD / "record.npz"
    model = load_model("digits-conv")
    x = np.random.default_rng(0).random((6, *model.graph.entry.shape)).astype(np.float32)
    card = {"device": "cuda:0 (a card)", "kernels": devices.fingerprint()}
    record = simulate(model, x, "reference")
    replace(record, origin={**record.origin, **card}).save(tmp_path / "there.npz")
    return model, x, tmp_path / "there.npz"


def test_each_stage_is_compared_with_the_saved_record_of_a_gpus_run(there, tmp_path):
    model, x, path = there
    kept = Record.load(path)
    assert kept.origin["device"].startswith("cuda")
    assert len(kept.origin["kernels"]) == 12
    for kind in ("nir", "onnx"):
        export(model, tmp_path / f"model.{kind}")
        compared = compare(str(tmp_path / f"model.{kind}"), str(path), samples=x, model_b=model)
        assert compared.parity.mismatches_above_rounding == 0
    integers = quantize(model, data="digits").graph
    compared = compare(integers, kept, samples=x, model_b=model)
    assert compared.causes is not None
    planted = replace(kept, trains={name: _one_more(train) for name, train in kept.trains.items()})
    assert compare(model, planted, samples=x, model_b=model).first is not None
    if path.parent == CARD and target("lava").availability().ready:
        few = x[:2]
        assert compare(integers, simulate(integers, few, "lava"), samples=few, why=False).parity.spike_mismatches == 0


def _one_more(train):
    """A spike that was not there, or one that was, gone."""
    bits = train.bits.copy()
    bits[0, 0, 0] ^= 128
    return replace(train, bits=bits)
