"""Portable ONNX models in onnx2torch, in an environment of its own: converted or not, and whether every spike is equal.

    python tests/portable.py --write docs/results/portable.md

Shipped models in real numbers and quantised, then random networks. What is expected comes from the definition of the
graph; onnx2torch computes with torch alone (`portable_child.py`). Exit status 1 if a bit differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

import spikeport
from conformance.cases import case
from onnxruntimes import KINDS, expected
from random_graphs import samples
from spikeport.files import write_text
from spikeport.formats import onnx
from spikeport.graph import definition

REQUIREMENTS = ("torch==2.13.0", "onnx2torch==1.5.15", "onnx==1.23.2", "numpy<2.4")
SHIPPED = ("digits-conv", "fmnist-conv", "nmnist-conv")
CHILD = Path(__file__).with_name("portable_child.py")


def shipped():
    """Name, graph and samples of the shipped models, as they were trained and in Loihi's integers."""
    for name in SHIPPED:
        graph = spikeport.load_model(name).graph
        x = np.abs(samples(graph, seed=1, batch=4))
        yield f"{name}, real numbers", graph, x
        yield f"{name}, integers", spikeport.quantize(name, data=x).graph, x


def random(number):
    """The same of random networks with a truth."""
    for kind, words in KINDS.items():
        for one in (case(kind, seed) for seed in range(number)):
            if isinstance(one.truth, definition.Run):
                yield f"random {words} {one.seed}", one.graph, one.samples


def export(folder, number):
    """Write models and what they are to give."""
    for name, graph, x in (*shipped(), *random(number)):
        onnx.write(graph, folder / f"{name}.onnx", portable=True)
        np.savez(folder / f"{name}.npz", **expected(graph, x, definition.run(graph, x)))


def environment(place):
    """The interpreter of an environment with onnx2torch, whose torchvision no model here needs."""
    python = place / "onnx2torch" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place / "onnx2torch")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    return python


def rows(results):
    """A row a shipped model, then how random networks ended."""
    yield "| model | |"
    yield "|---|---|"
    yield from (f"| {name} | {said} |" for name, said in results.items() if not name.startswith("random"))
    for words in KINDS.values():
        ends = Counter(
            said[said.find("spike bits") :] if "spike bits" in said else said
            for name, said in results.items()
            if name.startswith(f"random {words}")
        )
        yield from (f"| {count} random networks of {words} | {said} |" for said, count in ends.most_common())


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--networks", type=int, default=40, help="random ones of each kind")
    options.add_argument("--environments", type=Path, help="where the environment stays; else a temporary folder")
    options.add_argument("--write", type=Path, help="the page")
    order = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        models = Path(temporary) / "models"
        models.mkdir()
        export(models, order.networks)
        python = environment(order.environments or Path(temporary))
        done = subprocess.run([str(python), str(CHILD), str(models)], capture_output=True, text=True, check=True)
    results = json.loads(done.stdout)
    table = "\n".join(rows(results))
    print(table)
    if order.write:
        command = f"python tests/portable.py --networks {order.networks} --write docs/results/portable.md"
        write_text(order.write, PAGE.format(command=command, requirements=", ".join(REQUIREMENTS), table=table))
    sys.exit(any("differ" in said for said in results.values()))


PAGE = """# Portable ONNX models in another converter

`{command}`, {requirements}. `export --portable` writes
standard operators; onnx2torch makes a torch module of them, which knows nothing of spikeport. What it
gives is compared with the network's definition: spikes of every layer to the bit, outputs too, or within rounding.

{table}

What is not converted needs an operator that onnx2torch lacks, or a name that a torch module cannot have.
"""


if __name__ == "__main__":
    main()
