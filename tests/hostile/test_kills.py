"""Commands ended at random moments; three hundred by command: ``PYTHONPATH=tests python -m hostile.kills``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow  # begins commands one after another: half a minute
def test_what_is_ended_midway_leaves_whole_files_and_nothing_else():
    verbs = ("export", "simulate", "report")
    command = [sys.executable, "-m", "hostile.kills", *verbs, "--count", "6", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "kills": dict.fromkeys(("export", "simulate", "report"), 3),
        "wrong": 0,
    }
