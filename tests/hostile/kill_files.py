"""The files that commands read which are ended midway."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SWEEP = """
model = "digits-conv"
[quantize]
data = "digits"
calibration = 16
skip = ["joint", "rounding", "bias"]
[evaluate]
data = "digits"
limit = 32
[axes]
"quantize.weight_bits" = [4, 6, 8]
"""


def prepare(place: Path) -> None:
    """The files that commands read."""
    from hostile.model_files import small
    from hostile.result_files import results
    from spikeport.formats import nir, onnx

    nir.write(small(), place / "model.nir")
    onnx.write(small(), place / "model.onnx")
    np.save(place / "x.npy", np.random.default_rng(0).random((3000, 1, 8, 8), np.float32))
    x = np.load(place / "x.npy")
    np.savez(place / "labelled.npz", x=x, y=np.arange(len(x)) % 10)
    plan = 'recipe = "digits-conv"\ntarget_samples = 0\nquantize = {calibration = 64}\n[train]\nepochs = 2\n'
    plan += "architecture = {channels = [4, 8], strides = [1, 2], hidden = 16}\n"
    (place / "plan.toml").write_text(plan)
    (place / "sweep.toml").write_text(SWEEP)
    (place / "made").mkdir()
    for name, facts in json.loads(results(place)[0][1]).items():
        (place / "made" / name).write_text(json.dumps(facts))
