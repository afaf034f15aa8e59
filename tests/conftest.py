"""What all tests share: hypothesis profiles, and where data that are not part of the project lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True, database=None)
settings.register_profile(
    "dev", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, derandomize=False
)
settings.load_profile("ci" if os.environ.get("CI") else os.environ.get("HYPOTHESIS_PROFILE", "ci"))

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # nearly as the commands have it (`process.settle`)
if (Path(sys.prefix) / "environments").is_dir():  # made by `make peers`
    os.environ.setdefault("SPIKEPORT_ENVIRONMENTS", str(Path(sys.prefix) / "environments"))
if not Path("/dev/nvidiactl").exists():  # no card: Triton, once loaded, is the interpreter or the compiler for good
    os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ.setdefault("SPIKEPORT_CACHE", str(Path(__file__).resolve().parents[1] / "build" / "cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data that the project may not ship; the test skips where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SPIKEPORT_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared data: set SPIKEPORT_DATA, or put a folder at {folder}")
    return folder
