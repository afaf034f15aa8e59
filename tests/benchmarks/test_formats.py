"""ResNet-19 (12.7 million parameters) through NIR and ONNX: seconds, peak memory, size of the file.

pytest tests/benchmarks/test_formats.py -m bench -s
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import json, sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[4])
from resnet19 import resnet19
from spikeport.formats import nir, onnx

def resident(key):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split(key + ":")[1].split()[0])

kind, what, path = sys.argv[1:4]
room = nir if kind == "nir" else onnx
if what == "write":
    graph = resnet19()
    base = resident("VmRSS")
    begun = time.perf_counter()
    room.write(graph, path)
else:
    base = resident("VmRSS")
    begun = time.perf_counter()
    graph, _ = room.read(path)
seconds = time.perf_counter() - begun
print(json.dumps({"seconds": seconds, "memory": resident("VmHWM") - base, "size": Path(path).stat().st_size}))
"""


def measured(kind, what, path):
    here = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", CHILD, kind, what, str(path), here], capture_output=True, text=True,
                          check=True)  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.bench
@pytest.mark.parametrize("kind", ["nir", "onnx"])
def test_resnet19(kind, tmp_path):
    from resnet19 import PARAMETERS, parameters, resnet19

    path = tmp_path / f"model.{kind}"
    weights = PARAMETERS * 4
    assert parameters(resnet19()) == PARAMETERS
    for what in ("write", "read"):
        best = min((measured(kind, what, path) for _ in range(3)), key=lambda found: found["seconds"])
        print(f"{kind} {what}: {best['seconds']:.2f} s, peak memory {best['memory'] / weights:.2f} x weights, "
              f"file {best['size'] / weights:.3f} x weights")  # fmt: skip
        assert best["size"] <= 1.1 * weights
        assert best["memory"] <= 4 * weights
