"""What the parity journey of `tests/comparison/test_record_of_a_gpu.py` needs from a card.

That is a network which was trained there, and its Record there, every spike of it.

    python tests/gpu/write_record.py                      on a machine with a card; writes tests/gpu/card/
    python tests/gpu/write_record.py --device cpu --out build/card

Commit the folder: under 200 kB. The record says on which card it was written, and with which kernels.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeport.verbs.load import load_data, load_model
from spikeport.verbs.simulate import simulate
from spikeport.verbs.train import train

SAMPLES = 32
ORDER = argparse.ArgumentParser()
ORDER.add_argument("--device", default="cuda")
ORDER.add_argument("--out", type=Path, default=Path(__file__).with_name("card"))
ORDER.add_argument("--epochs", type=int, help="fewer than the recipe's")


def main():
    order = ORDER.parse_args()
    order.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fields = {} if order.epochs is None else {"epochs": order.epochs}
        trained = train("digits-conv", out=folder, overrides=fields, device=order.device)
        shutil.copy(trained.checkpoint, order.out / "model.safetensors")
    model = load_model(str(order.out / "model.safetensors"))
    x = load_data("digits", "test", model.graph, limit=SAMPLES).x
    np.save(order.out / "samples.npy", x)
    record = simulate(model, x, "reference", device=order.device)
    record = replace(record, origin={**record.origin, "model": "model.safetensors"})  # wherever the folder lies
    record.save(order.out / "record.npz")
    print(record.origin)


if __name__ == "__main__":
    main()
