"""Jobs whose workers and driver are ended by kill -9 at random moments, held to a run that nobody disturbed.

    python tests/killed_jobs.py --jobs 1000 --kills 100 --drivers 3 --on processes:2

The test of the suite (tests/jobs/test_killed.py) is a smaller one of these.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import job_calls
from spikeport.jobs import Job, Run, Store, executor

HERE = Path(__file__)


def drive(place: Path, on: str, count: int, seconds: float) -> None:
    """Run the jobs and write their table."""
    store = Store.at(place / "store")
    jobs = [
        Job(job_calls.square, {"number": n}, {}, {"ledger": str(place / "ledger"), "seconds": seconds})
        for n in range(count)
    ]
    with executor(on, store) as workers:
        run = Run(store, workers)
        run.add(jobs)
        facts = {done.job.key: done.facts for done in run}
    lines = [f"{job.options['number']},{(facts[job.key] or {}).get('square')}" for job in jobs]
    (place / "table.csv").write_text("\n".join(lines) + "\n")


def start(place: Path, on: str, count: int, seconds: float) -> subprocess.Popen[bytes]:
    """A driver in a process of its own."""
    place.mkdir(exist_ok=True)
    command = [sys.executable, str(HERE), "--drive", str(place), "--on", on, "--jobs", str(count)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
    return subprocess.Popen([*command, "--seconds", str(seconds)], env=environment)


@dataclass
class Seen:
    """What a ledger says."""

    begins: Counter[str]
    busy: list[int]  #: processes that began a job and did not end it
    pids: set[int]

    @classmethod
    def of(cls, ledger: Path) -> Seen:
        lines = [line.split() for line in ledger.read_text().splitlines()] if ledger.exists() else []
        begins, last = Counter[str](), {}
        for word, number, pid in (line for line in lines if len(line) == 3):
            begins[number] += word == "begin"
            last[int(pid)] = word
        return cls(begins, [pid for pid, word in last.items() if word == "begin"], set(last))


def disturbed(place: Path, on: str, count: int, kills: int, drivers: int, seconds: float, seed: int) -> dict[str, int]:
    """Run the jobs, ending workers and drivers on the way; how often each was ended, and how often a job began."""
    chance, ledger = random.Random(seed), place / "ledger"
    at = sorted(chance.sample(range(count // 20, count - count // 20), kills + drivers))  # by jobs that began
    what = ["driver"] * drivers + ["worker"] * kills
    chance.shuffle(what)
    ended, driver = Counter[str](), start(place, on, count, seconds)
    for begun, whom in zip(at, what, strict=True):
        while len((seen := Seen.of(ledger)).begins) < begun and driver.poll() is None:
            time.sleep(0.005)
        if whom == "driver":
            driver.kill()
            driver.wait()
            driver = start(place, on, count, seconds)
        elif busy := [pid for pid in seen.busy if _alive(pid)]:
            os.kill(chance.choice(busy), signal.SIGKILL)
        else:
            continue
        ended[whom] += 1
    assert driver.wait(600) == 0
    seen = Seen.of(ledger)
    return {
        "workers ended": ended["worker"],
        "drivers ended": ended["driver"],
        "begun": sum(seen.begins.values()),
        "most often": max(seen.begins.values()),
        "left alive": sum(map(_alive, seen.pids)),
        "half-written": len(list((place / "store").rglob("*.part"))),
    }


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def results(place: Path) -> dict[str, bytes]:
    """Every file of every result."""
    root = place / "store" / "results"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def left_in_shared_memory(before: int, seconds: float = 60.0) -> int:
    """How many files are there that were not; other programs' go again, and are waited for."""
    end = time.monotonic() + seconds
    while (more := len(os.listdir("/dev/shm")) - before) > 0 and time.monotonic() < end:
        time.sleep(0.5)
    return more


def trial(place: Path, on: str, count: int, kills: int, drivers: int, seconds: float = 0.02, seed: int = 1) -> dict:
    """Both runs; what was disturbed, and whether tables and results are the same bytes."""
    shared = len(os.listdir("/dev/shm"))
    facts = disturbed(place / "disturbed", on, count, kills, drivers, seconds, seed)
    drive_here = start(place / "here", "here", count, 0.0)
    assert drive_here.wait(600) == 0
    tables = [(place / name / "table.csv").read_bytes() for name in ("disturbed", "here")]
    facts["in shared memory"] = left_in_shared_memory(shared)
    same = results(place / "disturbed") == results(place / "here")
    return facts | {"same table": tables[0] == tables[1], "same results": same}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, kind in {"jobs": int, "kills": int, "drivers": int, "seconds": float, "on": str, "drive": Path}.items():
        parser.add_argument(f"--{name}", type=kind)
    options = parser.parse_args()
    if options.drive is not None:
        drive(options.drive, options.on, options.jobs, options.seconds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.time()
            told = trial(Path(folder), options.on, options.jobs, options.kills, options.drivers)
            print(json.dumps(told | {"seconds": round(time.time() - begun, 1)}, indent=1))
