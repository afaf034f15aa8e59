"""Exported models in old and new onnxruntimes: an environment for each version, every bit compared, a row a version.

    python tests/onnxruntimes.py --write docs/results/onnxruntimes.md

Random networks (`conformance/cases.py`) are exported once, with what their definition says about random samples. Each
environment has only onnxruntime and numpy (`onnxruntimes_child.py`). Exit status 1 if a bit differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np

from conformance.cases import case
from spikeport.files import write_text
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.formats.onnx.builder import IR_VERSION, OPSET
from spikeport.formats.onnx.layout import spiking
from spikeport.graph import Loihi, definition

VERSIONS = ("1.17.3", "1.20.1", "1.22.1", "1.23.2", "1.25.1", version("onnxruntime"))
OLD_NUMPY = ("1.17", "1.18")  #: their wheels were built against numpy 1
FORMS = {"scan": {"time": "scan"}, "unroll": {"time": "unroll"}, "portable": {"portable": True}}
KINDS = {"integers": "integers", "float32": "real numbers"}
PATTERN = """
The one is onnxruntime's pattern of memory (`enable_mem_pattern`, on by default): from the third step of the Scan on a
buffer of the layer's comparison is overwritten while it is in use (its sums are right, its spikes are not). With
optimisation off, or `enable_mem_reuse` or `enable_mem_pattern`, every bit is, and with some more outputs, too. Nothing
in the model decides it but which buffers 1.17 happens to share, so that a writer cannot avoid it: set
`SessionOptions.enable_mem_pattern = False` there, as `--target onnxruntime` does everywhere (others met the same in
[1.15 and 1.16](https://github.com/microsoft/onnxruntime/issues/18672)).
"""
CHILD = Path(__file__).with_name("onnxruntimes_child.py")


def export(folder, number):
    """``number`` networks of each kind, with operations and without, each as every form it has."""
    for kind in (*KINDS, *(f"{kind}, operations" for kind in KINDS)):
        seed = written = 0
        while written < number:
            one, seed = case(kind, seed), seed + 1
            if isinstance(one.truth, definition.Run):
                written += _written(folder, one)


def _written(folder, one):
    """Every form of a network; the Scan of each other one runs any number of steps, where its readout lets it."""
    forms = ["scan", "portable"] if one.graph.recurrent else ["scan", "unroll", "portable"]
    graph = one.graph.with_(after_end="cycle") if one.seed % 2 else one.graph
    for form in forms:
        name = f"{form} {one.kind} {one.seed}"
        try:
            onnx.write(graph, folder / f"{name}.onnx", **FORMS[form])
        except SpikeportError:  # sums or messages that ONNX's integers do not hold
            return False
        np.savez(folder / f"{name}.npz", **expected(one.graph, one.samples, one.truth))
    return True


def expected(graph, samples, truth):
    """The samples, and each output of the model in its order and type, as the definition's run has them."""
    dtype, total = (np.int32, np.int64) if isinstance(graph.arithmetic, Loihi) else (np.float32, np.float32)
    trains = [truth.spikes(name).astype(dtype) for name in spiking(graph)]
    outputs = [value.astype(total) for value in (truth.outputs, *truth.further.values())]
    return {"input": samples} | {f"output {index}": value for index, value in enumerate((*outputs, *trains))}


def environment(folder, release):
    """The interpreter of an environment with one onnxruntime."""
    python = folder / release / "bin" / "python"
    if not python.exists():
        numpy = "numpy<2" if release.rpartition(".")[0] in OLD_NUMPY else "numpy"
        subprocess.run([sys.executable, "-m", "venv", str(folder / release)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"onnxruntime=={release}", numpy], check=True)
    return python


def main():
    options = argparse.ArgumentParser()
    options.add_argument("versions", nargs="*", default=VERSIONS, metavar="VERSION")
    options.add_argument("--networks", type=int, default=60, help="of each arithmetic, and as many with operations")
    options.add_argument("--environments", type=Path, help="where environments stay; a temporary folder otherwise")
    options.add_argument("--write", type=Path, help="the page")
    order = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        models = Path(temporary) / "models"
        models.mkdir()
        export(models, order.networks)
        place = order.environments or Path(temporary)
        answers = [_asked(environment(place, release), models) for release in order.versions]
    table = "\n".join(rows(answers))
    print(table)
    if order.write:
        write_text(order.write, page(table, order.networks, answers))
    sys.exit(any(any(answer["results"].values()) for answer in answers))


def _asked(python, models):
    done = subprocess.run([str(python), str(CHILD), str(models)], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    for name, wrong in answer["results"].items():
        if wrong:
            print(f"onnxruntime {answer['onnxruntime']}, {name}: {wrong}", file=sys.stderr)
    return answer


def rows(answers):
    """A row a version: how many models of each form gave every bit."""
    columns = [f"{form} {kind}" for kind in KINDS for form in FORMS]
    heads = [f"{KINDS[column.split()[1]]}, {column.split()[0]}" for column in columns]
    yield f"| onnxruntime | numpy | {' | '.join(heads)} |"
    yield "|---" * (2 + len(heads)) + "|"
    for answer in answers:
        total, equal = Counter(), Counter()
        for name, wrong in answer["results"].items():
            column = name.rpartition(" ")[0].partition(",")[0]
            total[column] += 1
            equal[column] += not wrong
        cells = [f"{equal[column]} of {total[column]}" for column in columns]
        yield f"| {answer['onnxruntime']} | {answer['numpy']} | {' | '.join(cells)} |"


def page(table, networks, answers):
    """The page of the documentation."""
    wrong = [
        f"- onnxruntime {answer['onnxruntime']}, {name}: {what}."
        for answer in answers
        for name, what in answer["results"].items()
        if what
    ]
    text = "\n".join(["What differs:", "", *wrong]) if wrong else "Nothing differs."
    return f"""# Exported models in old and new onnxruntimes

`python tests/onnxruntimes.py --networks {networks} --write docs/results/onnxruntimes.md`, written with onnx
{version("onnx")}: opset {OPSET}, IR version {IR_VERSION}. {2 * networks} random networks of each arithmetic, half of
them with operations on maps, were exported once; a cell says in how many models every spike and every output is, to the
bit, what the network's definition gives. Recurrent networks have no unrolled form; the portable one is
`export --portable`. Each version runs in an environment of its own, with Python {sys.version.split()[0]}, on the CPU
provider. Models of spikeport 0.1 need onnxruntime 1.25.

{table}

{text}
{PATTERN if wrong else ""}"""


if __name__ == "__main__":
    main()
