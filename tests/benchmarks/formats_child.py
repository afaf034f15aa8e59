"""Writes or reads ResNet-19 once in a process of its own and prints what that took, as JSON.

python tests/benchmarks/formats_child.py nir|onnx write|read PATH

Memory: the kernel's high-water mark of resident memory (VmHWM) is put back to what is resident now (5 into
/proc/self/clear_refs) right before the call and read right after it, so that nothing but the call moves it. Taken off
is what was resident after the imports, before there was a network: "memory" counts the network itself, too, on both
ways; "extra" is what writing needs beyond the network that it writes. A small network went the same way before, so that
libraries have loaded what they load once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from format_mutants import original
from resnet19 import resnet19
from spikeport.formats import nir, onnx


def resident(key: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (at most since the last reset)."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split(key + ":")[1].split()[0])


def main(kind: str, what: str, path: str) -> None:
    """Measure one call."""
    room = nir if kind == "nir" else onnx
    small = path + ".small"
    room.write(original(), small)
    room.read(small)
    os.unlink(small)
    empty = resident("VmRSS")
    graph = resnet19() if what == "write" else None
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    begun = time.perf_counter()
    if graph is None:
        graph, _ = room.read(path)
    else:
        room.write(graph, path)
    seconds = time.perf_counter() - begun
    peak = resident("VmHWM")
    arrays = [getattr(node, name) for node in graph.nodes.values() for name in node.arrays]
    assert sum(int(np.prod(array.shape)) for array in arrays if array is not None) > 12e6
    print(
        json.dumps(
            {"seconds": seconds, "memory": peak - empty, "extra": peak - before, "size": Path(path).stat().st_size}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
