"""ResNet-19 (12.7 million parameters) through NIR and ONNX: seconds, peak memory, size of the file.

pytest tests/benchmarks/test_formats.py -m bench -s; how memory is measured: formats_child.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench_record import record

CHILD = Path(__file__).with_name("formats_child.py")
SECONDS = {"write": 5.0, "read": 3.0}  #: at most, on two cores
MEMORY, FILE = 4.0, 1.1  #: at most, as multiples of the weights


def measured(kind, what, path):
    command = [sys.executable, str(CHILD), kind, what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.bench
@pytest.mark.parametrize("kind", ["nir", "onnx"])
def test_resnet19(kind, tmp_path):
    from resnet19 import PARAMETERS, parameters, resnet19

    path = tmp_path / f"model.{kind}"
    weights = PARAMETERS * 4
    assert parameters(resnet19()) == PARAMETERS
    for what, limit in SECONDS.items():
        runs = [measured(kind, what, path) for _ in range(5)]
        best = min(runs, key=lambda run: run["seconds"])
        memory, extra = (max(run[key] for run in runs) / weights for key in ("memory", "extra"))
        size = best["size"] / weights
        record(
            f"ResNet-19, {what} {kind}",
            f"{limit:g} s",
            limit / best["seconds"],
            best["seconds"],
            table="formats",
            slowest=max(run["seconds"] for run in runs),
            memory=memory,
            extra=extra,
            file=size,
        )
        assert size <= FILE
        assert memory <= MEMORY
