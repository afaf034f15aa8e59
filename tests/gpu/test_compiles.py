"""Every kernel compiles for NVIDIA's cards, on a machine without one, and meets its tensor cores."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("triton") is None, reason="pip install 'spikeport[gpu-tests]'"),
]


@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_multiply_on_tensor_cores_and_keep_to_their_registers(capability):
    """In a process of its own: here they may have been loaded for the interpreter."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    child = [sys.executable, str(Path(__file__).with_name("compile_child.py")), str(capability)]
    done = subprocess.run(child, capture_output=True, text=True, env=env, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count(" ok\n") == 24
