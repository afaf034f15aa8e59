"""What docs/gpu.md says by a command, and that the script for a card runs to its end without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import roofline

HERE = Path(__file__).parent


def test_the_page_holds_the_tables_that_the_script_makes():
    page = roofline.PAGE.read_text(encoding="utf-8")
    assert roofline.written(page) == page


def test_a_layer_takes_what_it_multiplies_or_moves_whichever_is_longer():
    """128 channels on 32 x 32, 512 frames: 77.3e9 products of 9 x 128; 67 MB in, as many out."""
    one = roofline.Layer("", 512 * 1024 * 128 * 9 * 128, 2 * 512 * 1024 * 128, 359e12)
    assert one.least == pytest.approx(2 * 77.3e9 / 1.979e15, rel=1e-3)
    assert one.expected == pytest.approx(0.431e-3, rel=1e-2)  # what the prototype took
    assert roofline.Layer("", 0, 4.3e9, 1.0).least == pytest.approx(1e-3)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="pip install 'spikeport[gpu-tests]'")
@pytest.mark.timeout(900)
def test_the_script_for_a_card_runs_to_its_end_in_the_interpreter(tmp_path):
    """Every row of it, so that no card waits for a slip of the pen."""
    path = tmp_path / "gpu.json"
    script = [sys.executable, str(HERE / "measure.py"), "--try", "--out", str(path)]
    done = subprocess.run(script, capture_output=True, text=True, env=dict(os.environ), timeout=880, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert not [row for row in rows if "failed" in row]
    assert sum("equal" in row for row in rows) == 5
