"""A record that a GPU wrote, held against each stage later, on a machine without one.

The record here is made on the CPU, on what it says is a card: one that a card wrote is awaited (docs/gpu.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.engine import devices
from spikeport.record import Record
from spikeport.verbs.compare import compare
from spikeport.verbs.export import export
from spikeport.verbs.load import load_model
from spikeport.verbs.quantize import quantize
from spikeport.verbs.simulate import simulate


def test_each_stage_is_compared_with_the_saved_record_of_a_gpus_run(tmp_path):
    model = load_model("digits-conv")
    x = np.random.default_rng(0).random((6, *model.graph.entry.shape)).astype(np.float32)
    card = {"device": "cuda:0 (a card)", "kernels": devices.fingerprint()}
    there = simulate(model, x, "reference")
    replace(there, origin={**there.origin, **card}).save(tmp_path / "there.npz")
    kept = Record.load(tmp_path / "there.npz")
    assert {name: kept.origin[name] for name in card} == card
    for kind in ("nir", "onnx"):
        export(model, tmp_path / f"model.{kind}")
        compared = compare(str(tmp_path / f"model.{kind}"), str(tmp_path / "there.npz"), samples=x, model_b=model)
        assert compared.first is None
    integers = quantize(model, data="digits").graph
    compared = compare(integers, kept, samples=x, model_b=model)
    assert compared.causes is not None
    planted = replace(kept, trains={name: _one_more(train) for name, train in kept.trains.items()})
    assert compare("digits-conv@reference", planted, samples=x, model_b=model).first is not None


def _one_more(train):
    """A spike that was not there, or one that was, gone."""
    bits = train.bits.copy()
    bits[0, 0, 0] ^= 128
    return replace(train, bits=bits)
