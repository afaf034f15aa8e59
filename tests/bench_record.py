"""Measurements of one run of `make bench`: medians of interleaved repetitions, merged into build/bench.json."""

from __future__ import annotations

import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from spikeport.files import write_json

FILE = Path("build") / "bench.json"


def interleaved(runs, repetitions=9, seconds=60.0, clock=time.perf_counter):
    """Median seconds of each function of a dict. They take turns, so that a busy moment meets all of them."""
    for run in runs.values():
        run()
    taken = {name: [] for name in runs}
    end = time.perf_counter() + seconds
    for _ in range(repetitions):
        for name, run in runs.items():
            begun = clock()
            run()
            taken[name].append(clock() - begun)
        if time.perf_counter() > end:
            break
    return {name: statistics.median(times) for name, times in taken.items()}


def record(name, against, ratio, seconds, **more):
    """Add {name, against, ratio, seconds, ...} to the list, in place of an older entry of the same name and peer."""
    FILE.parent.mkdir(exist_ok=True)
    entries = json.loads(FILE.read_text()) if FILE.exists() else []
    entries = [entry for entry in entries if (entry["name"], entry["against"]) != (name, against)]
    entries.append({"name": name, "against": against, "ratio": ratio, "seconds": seconds, **more, "machine": machine()})
    write_json(FILE, entries)
    print(f"\n{name}: {ratio:.2f} x against {against} ({seconds:.4g} s)", flush=True)


def processor() -> str:
    """The processor's name, as Linux knows it; elsewhere its kind."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text("utf-8").splitlines() if known.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine():
    """What the figures belong to."""
    capability = torch.backends.cpu.get_cpu_capability()
    return {
        "processor": processor(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "instructions": capability,
        "vnni": bool(getattr(torch.cpu, "_is_vnni_supported", lambda: False)()),
        "amx": bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()),
    }
