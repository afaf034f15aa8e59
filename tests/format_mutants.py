"""Mutants of NIR and ONNX files: every one must end in one coded error or a valid graph, quickly and in little memory.

python tests/format_mutants.py nir|onnx|exported FIRST COUNT     runs mutants here; counts outcomes, lists failures
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import onnx as peer

from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Pool, Readout, Scale

SECONDS, MEMORY = {"nir": 2.0, "onnx": 2.0, "exported": 6.0}, 2**30  #: of the last, several readings are followed
f4 = np.float32
T = 4


def original(metadata=True):
    """A small network with most kinds of nodes, a residual edge and a loop."""
    rng = np.random.default_rng(1)
    nodes = {
        "in": Input((2, 6, 6)),
        "conv": Conv(rng.normal(size=(4, 1, 3, 3)).astype(f4), None, padding=(1, 1), groups=2),
        "lif": LIF((4, 6, 6), f4(0.5), rng.uniform(0.5, 1, T).astype(f4)),
        "pool": Pool("average", (2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(rng.normal(size=(5, 36)).astype(f4), rng.normal(size=5).astype(f4)),
        "cuba": CubaLIF((5,), f4(0.5), np.ones(T, f4), current_decay=f4(0.25)),
        "back": Scale(f4(0.5)),
        "past": Delay((5,), 1),
        "out": Readout((5,), np.full(T, 0.25, f4)),
    }
    edges = [
        ("in", "conv"),
        ("conv", "lif"),
        ("lif", "pool"),
        ("pool", "flat"),
        ("flat", "fc"),
        ("fc", "cuba"),
        ("cuba", "back"),
        ("back", "past"),
        ("past", "cuba"),
        ("cuba", "out"),
    ]
    if not metadata:  # for ONNX's operators: no loop
        nodes = {name: node for name, node in nodes.items() if name not in ("back", "past")}
        edges = [edge for edge in edges if not {"back", "past"} & set(edge)]
    return Graph(nodes, tuple(edges), T)


def bytes_mutant(data: bytes, rng) -> bytes:
    """Bits flipped, parts cut, zeroed, copied or put in."""
    raw = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        kind, at = int(rng.integers(6)), int(rng.integers(len(raw)))
        length = int(rng.integers(1, 65))
        if kind == 0:
            raw[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del raw[at:]
        elif kind == 2:
            raw[at : at + length] = bytes(len(raw[at : at + length]))
        elif kind == 3:
            raw[at : at + length] = b"\xff" * len(raw[at : at + length])
        elif kind == 4:
            other = int(rng.integers(len(raw)))
            raw[at : at + length] = raw[other : other + length]
        else:
            raw[at:at] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        if not raw:
            break
    return bytes(raw)


WILD = [0, -1, 2**31, 2**62, -(2**63), 1e308, float("nan"), float("inf"), -1e308, "x", "", "/", "Conv2d", "NIRGraph"]


def nir_mutant(path: Path, rng) -> None:
    """One dataset of a NIR file removed, renamed, linked away, or given another value or an absurd shape."""
    with h5py.File(path, "r+") as file:
        places: list[str] = []
        file.visit(places.append)
        place = places[int(rng.integers(len(places)))]
        kind = int(rng.integers(7))
        old = file[place]
        value = old[()] if isinstance(old, h5py.Dataset) else None
        del old
        if kind == 0:
            del file[place]
        elif kind == 1:
            file.move(place, place + "x")
        elif kind == 2:
            del file[place]
            file[place] = WILD[int(rng.integers(len(WILD)))]
        elif kind == 3:
            del file[place]
            shape = tuple(int(n) for n in rng.choice([0, 1, 3, 2**16, 2**31], int(rng.integers(1, 4))))
            file.create_dataset(place, shape, "f4", chunks=tuple(max(1, min(n, 64)) for n in shape), maxshape=shape)
        elif kind == 4:
            del file[place]
            file[place] = h5py.ExternalLink("/etc/hostname", "/") if rng.random() < 0.5 else h5py.SoftLink("/node")
        elif kind == 5 and isinstance(value, np.ndarray) and value.size and value.dtype.kind in "if":
            del file[place]
            value.reshape(-1)[int(rng.integers(value.size))] = 77 if value.dtype.kind == "i" else rng.choice([-5, 1e30])
            file[place] = value
        elif value is not None and isinstance(value, bytes) and value.startswith(b"{"):
            del file[place]
            file[place] = json_mutant(value.decode(), rng)


def json_mutant(text: str, rng) -> str:
    """One value of a JSON text replaced or removed."""
    facts = json.loads(text)
    walk = facts
    while True:
        keys = list(walk) if isinstance(walk, dict) else list(range(len(walk)))
        if not keys:
            break
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(walk[key], dict | list) and walk[key] and rng.random() < 0.7:
            walk = walk[key]
            continue
        if rng.random() < 0.2:
            del walk[key]
        else:
            walk[key] = [0, -1, 10**18, 1.5, "x", None, [], {}, True, [[]], {"float": "nan"}][int(rng.integers(11))]
        break
    return json.dumps(facts)


def onnx_mutant(data: bytes, rng) -> bytes:
    """One operator, tensor, attribute, input or property of a model changed."""
    model = peer.ModelProto.FromString(data)
    kind = int(rng.integers(8))
    node = model.graph.node[int(rng.integers(len(model.graph.node)))]
    tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
    if kind == 0:
        del model.graph.node[int(rng.integers(len(model.graph.node)))]
    elif kind == 1:
        node.op_type = str(rng.choice(["Conv", "Loop", "Softmax", "LIF", "", "Reshape", "Gemm", "Mul"]))
    elif kind == 2:
        tensor.dims[:] = [int(n) for n in rng.choice([-1, 0, 1, 3, 2**31, 2**62], int(rng.integers(0, 4)))]
    elif kind == 3:
        tensor.data_location = peer.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../../etc/passwd")
    elif kind == 4 and node.input:
        names = [t.name for t in model.graph.initializer] + [o for n in model.graph.node for o in n.output] + [""]
        node.input[int(rng.integers(len(node.input)))] = str(rng.choice(names))
    elif kind == 5 and node.attribute:
        attribute = node.attribute[int(rng.integers(len(node.attribute)))]
        attribute.i = int(rng.choice([-1, 0, 7, 2**40]))
        attribute.ints[:] = [int(n) for n in rng.choice([-1, 0, 1, 2**40], int(rng.integers(0, 5)))]
    elif kind == 6:
        tensor.data_type = int(rng.integers(0, 30))
    else:
        for prop in model.metadata_props:
            prop.value = json_mutant(prop.value, rng)
    if rng.random() < 0.3:
        del model.metadata_props[:]
    return model.SerializeToString()


def write_mutant(kind: str, data: bytes, seed: int, path: Path) -> None:
    """Mutant number ``seed`` of a file; half are mutated in their bytes, half in their structure."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        path.write_bytes(bytes_mutant(data, rng))
    elif kind == "nir":
        path.write_bytes(data)
        try:
            nir_mutant(path, rng)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError):
            path.write_bytes(data[: seed % len(data)])
    else:
        path.write_bytes(onnx_mutant(data, rng))


def originals(kind: str, folder: Path) -> list[bytes]:
    """The files that are mutated: ours, and one as another tool would have it."""
    path = folder / "original"
    if kind == "exported":
        return [exported(path, open_axis) for open_axis in (None, 0)]
    if kind == "onnx":
        onnx.write(original(), path)
        whole = path.read_bytes()
        onnx.write(original(metadata=False), path)
        return [whole, path.read_bytes()]
    nir.write(original(), path)
    whole = path.read_bytes()
    nir.write(original(), path, thresholds="approx")
    with h5py.File(path, "r+") as file:
        for group in (file["node"], *file["node/nodes"].values()):
            if "metadata" in group:
                del group["metadata"]
    return [whole, path.read_bytes()]


def exported(path: Path, open_axis: int | None) -> bytes:
    """A module as torch's exporter writes it: neurons are comparisons and sums."""
    import torch

    from exported import export

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = torch.nn.Conv2d(1, 2, 3), torch.nn.Linear(8, 3)

        def forward(self, x):
            v, w, count = torch.zeros(x.shape[0], 2, 4, 4), 0.0, 0.0
            for _ in range(2):
                v = 0.5 * v + self.conv(x)
                z = (v > 1).float()
                v = torch.where(z > 0, torch.zeros_like(v), v)
                w = 0.5 * w + self.fc(torch.nn.functional.avg_pool2d(z, 2).flatten(1))
                y = (w >= 0.5).float()
                w, count = w - 0.5 * y, count + y
            return count

    return export(Net(), torch.zeros(1, 1, 6, 6), path, newer=False, open_axis=open_axis).read_bytes()


def outcome(kind: str, path: Path) -> str:
    """ "graph", or the code of the error; anything else is a failure that is raised."""
    try:
        if kind == "exported":
            from spikeport.verbs.load import load_model

            graph = load_model(path).graph
        else:
            graph, _ = (nir if kind == "nir" else onnx).read(path)
    except SpikeportError as error:
        return error.code
    assert graph.order
    return "graph"


def run(kind: str, first: int, count: int) -> tuple[dict[str, int], list[str]]:
    """Read mutants one by one; how often each outcome came, and what failed."""
    seen: dict[str, int] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = originals(kind, folder)
        path = folder / ("mutant.nir" if kind == "nir" else "mutant.onnx")
        signal.signal(signal.SIGPROF, _too_long)
        for seed in range(first, first + count):
            write_mutant(kind, files[seed // 2 % len(files)], seed, path)
            signal.setitimer(signal.ITIMER_PROF, SECONDS[kind])
            begun = time.process_time()
            try:
                result = outcome(kind, path)
            except Exception as error:
                failed.append(f"{kind} mutant {seed}: {type(error).__name__}: {error}")
                continue
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            if time.process_time() - begun >= SECONDS[kind]:
                failed.append(f"{kind} mutant {seed} took too long")
            seen[result] = seen.get(result, 0) + 1
    return seen, failed


def _too_long(number, frame):
    raise TimeoutError


def limited() -> None:
    """Give this process no more than a gigabyte beyond what it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


if __name__ == "__main__":
    limited()
    warnings.simplefilter("error")
    outcomes, failures = run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(outcomes))
    sys.exit("\n".join(failures) if failures else 0)
