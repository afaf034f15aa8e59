"""Verbs one after another in one process for hours: memory, files, threads, children and temporary files watched.

    PYTHONPATH=tests python -m hostile.soak [--minutes 120]

Each round runs every verb on small files and two that are refused. What the process holds after the first rounds, when
caches are full, is what it may hold in the end: memory may grow by `MEMORY` bytes, all else by nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path

MEMORY = 64 * 2**20  #: bytes that the process may grow by after the first rounds
FIRST = 5  #: rounds that fill caches


def held(temporary: Path) -> dict[str, int]:
    """What this process holds now."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    anonymous = (int(status[name].split()[0]) for name in ("RssAnon", "VmSwap"))  # what is not a file's, also put aside
    return {
        "memory": 1024 * sum(anonymous),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")),
        "children": sum(len(task.read_text().split()) for task in Path("/proc/self/task").glob("*/children")),
        "temporary": sum(1 for _ in temporary.rglob("*")),
    }


def verbs(place: Path) -> dict[str, Callable[[], object]]:
    """By name, on the files of `kill_files.prepare` in the working directory."""
    import spikeport

    out = place / "out"
    return {
        "export": lambda: spikeport.export("model.nir", out / "m.onnx"),
        "inspect": lambda: spikeport.inspect("model.onnx"),
        "check": lambda: spikeport.check("model.nir", "integer"),
        "simulate": lambda: spikeport.simulate("model.nir", "few.npy", trains=True, out=out / "r", resume=True),
        "quantize": lambda: spikeport.quantize("model.nir", data="labelled.npz", calibration=16, out=out / "q.nir"),
        "evaluate": lambda: spikeport.evaluate("model.nir", "labelled.npz", limit=64),
        "compare": lambda: spikeport.compare("model.nir", "model.onnx", data="few.npy"),
        "events": lambda: spikeport.events("model.nir", samples="few.npy"),
        "energy": lambda: spikeport.energy("model.nir", samples="few.npy"),
        "fit": lambda: spikeport.fit("model.nir"),
        "explain": lambda: spikeport.explain("SP203"),
        "plot": lambda: spikeport.plot("record.npz", out=out / "p.png"),
        "report": lambda: spikeport.report("made"),
        "refused": lambda: spikeport.inspect("x.npy"),
        "damaged": lambda: spikeport.inspect("damaged.nir"),
    }


def soak(minutes: float) -> tuple[dict[str, int], dict[str, int], dict[str, int], list[str]]:
    """Rounds of each verb, what was held after the first and in the end, and what was wrong."""
    from hostile.kill_files import prepare
    from spikeport import process
    from spikeport.findings import SpikeportError

    process.settle()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (temporary := place / "tmp").mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        prepare(place)
        os.chdir(place)
        _more(place)
        calls, counts = verbs(place), dict.fromkeys(verbs(place), 0)
        first, until, rounds = {}, time.monotonic() + 60 * minutes, 0
        while time.monotonic() < until or rounds <= FIRST:
            for verb, call in calls.items():
                refused = verb in ("refused", "damaged")
                with redirect_stdout(sys.stderr), suppress(*[SpikeportError] * refused):
                    call()
                    if refused:
                        wrong.append(f"{verb} was not refused")
                counts[verb] += 1
            rounds += 1
            if rounds == FIRST:
                first = held(temporary)
            if rounds % 20 == FIRST:
                print(rounds, json.dumps(held(temporary)), file=sys.stderr, flush=True)
        last = held(temporary)
        os.chdir("/")
    wrong += [
        f"{name}: {first[name]:,} after {FIRST} rounds, {last[name]:,} after {rounds}"
        for name in first
        if last[name] > first[name] + (MEMORY if name == "memory" else 0)
    ]
    return counts, first, last, wrong


def _more(place: Path) -> None:
    import numpy as np

    import spikeport

    np.save(place / "few.npy", np.load(place / "x.npy")[:32])
    (place / "damaged.nir").write_bytes((place / "model.nir").read_bytes()[:3000])
    (place / "out").mkdir()
    spikeport.simulate("model.nir", "few.npy", trains=True).save(place / "record.npz")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    counts, first, last, wrong = soak(parser.parse_args().minutes)
    print(json.dumps({"calls": counts, "first": first, "last": last, "wrong": wrong}, indent=1))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
