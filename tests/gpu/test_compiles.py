"""Every kernel compiles for NVIDIA's cards, on a machine without one, and meets its tensor cores."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="pip install 'spikeport[gpu-tests]'")


def compiled(*words, seconds):
    """What is said of every form; in a process of its own: here kernels may have been loaded for the interpreter."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    child = [sys.executable, str(Path(__file__).with_name("compile_all.py")), *words]
    done = subprocess.run(child, capture_output=True, text=True, env=env, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_a_card_would_compile_what_a_network_and_a_training_launch(tmp_path, monkeypatch):
    """Types of arguments, sides of tiles, shared memory, registers: what the interpreter takes, and a card may not."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    *forms, last = compiled("--few", seconds=120)
    kernels = {line.split()[0] for line in forms}
    assert kernels == {"tally", "fire", "product", "moments", "merge", "step", "backward", "through_norm"}
    assert last.endswith(", ok")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("capability", ["80", "90"])
def test_every_form_of_every_kernel_compiles_for_a_card(capability):
    """Those of whole networks, of each way to lay a layer, of real numbers, random networks and training."""
    *forms, last = compiled(capability, seconds=1150)
    assert {"pool", "forward", "fire_real"} <= {line.split()[0] for line in forms}
    assert last.endswith(", ok")
