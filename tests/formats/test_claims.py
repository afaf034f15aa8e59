"""Small files that claim gigabytes: refused by one coded error before anything of that size is made.

All are read in one child process that may not have a gigabyte more than it starts with.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import h5py
import nir as peer
import numpy as np
import onnx as peer_onnx
from onnx import TensorProto, helper, numpy_helper

from spikeport.formats import facts, nir, onnx
from spikeport.formats.nir import file as nir_file
from spikeport.formats.nir import metadata as nir_own
from spikeport.formats.onnx.neuron_functions import function
from spikeport.graph import LIF, Conv, Graph, Input, Norm, Pool

f4 = np.float32


def theirs(path, *, shape=(2, 3), fill=None):
    """A foreign file: an input of some shape, an LI with one value for all, an output."""
    nodes = {
        "input": peer.Input(np.array(shape)),
        "li": peer.LI(*(np.full(1, v) for v in (5e-3, 2.0, 0.5))),
        "output": peer.Output(np.array(shape)),
    }
    peer.write(path, peer.NIRGraph(nodes=nodes, edges=list(pairwise(nodes)), type_check=False))
    if fill:
        with h5py.File(path, "r+") as file:
            for name in ("tau", "r", "v_leak"):
                del file[f"node/nodes/li/{name}"]
                file["node/nodes/li"].create_dataset(name, fill, "f4", chunks=True, fillvalue=1.0)


def ours(path, graph, **changes):
    """A file of ours whose plain facts were changed, with a digest that agrees."""
    nir.write(graph, path)
    tree = nir_file.load(path)
    for name, change in changes.items():
        meta = tree["nodes"][name]["metadata"][nir_own.KEY]
        meta |= change.pop("arrays", {})
        meta["facts"] = facts.to_json(json.loads(meta["facts"]) | change)
    tree["metadata"][nir_own.KEY][nir_own.SUM] = facts.digest(nir_own._parts(tree))
    tree["edges"] = [list(row) for row in tree["edges"]]
    nir_file.save(tree, path)


def lif(shape):
    return LIF(shape, f4(0.5), np.ones(2, f4))


def model(path, *, shape, operators, arrays, functions=()):
    """A foreign ONNX model of a few operators."""
    graph = helper.make_graph(
        operators,
        "theirs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("spikeport.snn", 1)]
    proto = helper.make_model(graph, functions=list(functions), opset_imports=opsets, ir_version=8)
    path.write_bytes(proto.SerializeToString())


def hostile(folder):
    """The files by name."""
    theirs(folder / "shape.nir", shape=(2**33, 3))
    theirs(folder / "product.nir", shape=(2**20, 2**20))
    theirs(folder / "fill.nir", shape=(2**28,), fill=(2**28,))
    theirs(folder / "fill2.nir", shape=(2**14, 2**12), fill=(2**14, 2**12))
    pool = Graph.chain({"input": Input((2, 8)), "pool": Pool("sum", (2,), (2,), (0,)), "lif": lif((2, 4))}, 2)
    ours(folder / "pool.nir", pool, input={"shape": [2**17, 8]}, lif={"shape": [2**17, 4]})
    conv = Graph.chain(
        {"input": Input((1, 1, 9)), "conv": Conv(np.ones((1, 1, 1, 3), f4), padding=(0, 1)), "lif": lif((1, 1, 9))}, 2
    )
    long = np.ones((1, 1, 1, 9999), f4)  # as square as nir's type check wants it, 400 MB
    ours(
        folder / "kernel.nir",
        conv,
        input={"shape": [1, 1, 9999]},
        conv={"arrays": {"weight": long}},
        lif={"shape": [1, 1, 3]},
    )
    norm = Graph.chain({"input": Input((2,)), "norm": Norm(*(np.ones(2, f4) for _ in range(4))), "lif": lif((2,))}, 2)
    ours(folder / "norm.nir", norm, input={"shape": [2**33]}, lif={"shape": [2**33]})

    call = helper.make_node("LIF", ["t", "d", "theta", "one", "zero", "zero"], ["y"], domain="spikeport.snn")
    still = [helper.make_node("Unsqueeze", ["x", "row"], ["r"]), helper.make_node("Expand", ["r", "steps"], ["t"])]
    values = {"d": f4(0.5), "one": f4(1), "zero": f4(0), "row": np.array([0])}
    size = (2**10, 2**9, 2**5)
    model(
        folder / "threshold.onnx",
        shape=size,
        operators=[*still, call],
        functions=[function(lif(size), "scan", np.dtype(np.float32))],
        arrays=values
        | {"theta": np.arange(512, dtype=f4).reshape(16, 1, 1, 1, 32), "steps": np.array([16, 1, 1, 1, 1])},
    )
    add = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Add", ["f", "one"], ["y"])]
    model(folder / "add.onnx", shape=(2**33,), operators=add[1:], arrays={"one": f4(1)})
    model(folder / "flat.onnx", shape=(2**16, 2**17), operators=add, arrays={"one": f4(1)})
    convs = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[2**30, 2**30, 2**30, 2**30], kernel_shape=[1, 1])]
    model(folder / "pads.onnx", shape=(1, 4, 4), operators=convs, arrays={"w": np.ones((1, 1, 1, 1), f4)})
    onnx.write(pool, folder / "own.onnx")
    own = peer_onnx.load(folder / "own.onnx")
    for prop in own.metadata_props:
        about = json.loads(prop.value)
        about["nodes"][0]["facts"]["shape"] = [2**33, 8]
        about["nodes"][2]["facts"]["shape"] = [2**33, 4]
        prop.value = json.dumps(about)
    (folder / "own.onnx").write_bytes(own.SerializeToString())


CHILD = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
import format_mutants
from pathlib import Path
format_mutants.limited()
outcomes = {}
for path in sorted(Path(sys.argv[2]).iterdir()):
    outcomes[path.name] = format_mutants.outcome(path.suffix[1:], path)
print(json.dumps(outcomes), file=sys.stdout)
"""


def test_claims_are_refused_before_they_are_made(tmp_path):
    hostile(tmp_path)
    assert all(path.stat().st_size < 128 * 1024 for path in tmp_path.iterdir())
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(here), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)
    expected = {
        "shape.nir": "SP207",
        "product.nir": "SP207",
        "fill.nir": "SP207",
        "fill2.nir": "SP207",
        "pool.nir": "SP204",
        "kernel.nir": "SP204",
        "norm.nir": "SP202",
        "threshold.onnx": "SP251",
        "add.onnx": "SP250",
        "flat.onnx": "SP250",
        "pads.onnx": "SP251",
        "own.onnx": "graph",
    }
    assert outcomes == expected
