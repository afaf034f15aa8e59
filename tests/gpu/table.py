"""The table of a measurement: a row is in the file when it is there, and one that fails leaves the others be."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

REPEATS, LEAST = 7, 3  #: runs of a row; of one that takes long fewer, and one where only the script is tried
LONG = 6.0  #: seconds that the runs of a row may take
WARM = 3  #: calls before: the first tunes and compiles, the next ones are taken down as CUDA graphs


class Table:
    """Rows as they come, in a JSON file. ``limit`` seconds after its making no row is begun."""

    def __init__(self, path, device, limit):
        self.path, self.device, self.limit = path, device, limit
        self.begun, self.rows, self.facts = time.perf_counter(), [], card(device)
        path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def seconds(self):
        """Since it was made."""
        return time.perf_counter() - self.begun

    @property
    def failed(self):
        """Whether a check or a row failed."""
        return any("failed" in row for row in self.rows)

    def add(self, what, **facts):
        """A row, written at once."""
        self.rows.append({"what": what, **facts})
        text = json.dumps({"where": self.facts, "seconds": self.seconds, "rows": self.rows}, indent=1)
        self.path.write_text(text, encoding="utf-8")
        shown = {name: f"{value:.3f}" if isinstance(value, float) else value for name, value in facts.items()}
        print(f"  {what}: {', '.join(f'{name} {value}' for name, value in shown.items())}", flush=True)

    def tried(self, what, work):
        """What ``work()`` gives; None where it fails, which is a row."""
        if self.seconds > self.limit:
            self.add(what, left_out=f"after {self.limit:.0f} s")
            return None
        try:
            return work()
        except Exception as error:  # whatever a card, a driver or a peer comes up with
            place = traceback.extract_tb(error.__traceback__)[-1]
            why = str(error).strip().splitlines() or [""]
            where = f"{Path(place.filename).name}:{place.lineno}"
            self.add(what, failed=f"{type(error).__name__}: {why[0][:300]} ({where})")
            if self.device == "cuda":
                torch.cuda.empty_cache()
            return None

    def ratio(self, what, seconds, by):
        """How many times as long, of two rows that are there."""
        if seconds and by:
            self.add(what, times=seconds / by)

    def timed(self, what, samples, call, warm=WARM, **facts):
        """Milliseconds of a call that ends when its result is here: a row, or one that says what failed."""
        return self.tried(what, lambda: self._timed(what, samples, call, warm, facts))

    def _timed(self, what, samples, call, warm, facts):
        first, *_ = (self._seconds(call) for _ in range(1 if self.device == "cpu" else warm))
        times, begun = [], time.perf_counter()
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        while len(times) < (1 if self.device == "cpu" else REPEATS) and (
            len(times) < LEAST or time.perf_counter() - begun < LONG
        ):
            times.append(self._seconds(call))
        middle = statistics.median(times)
        peak = {"peak_gb": torch.cuda.max_memory_allocated() / 1e9} if self.device == "cuda" else {}
        self.add(
            what,
            ms=middle * 1e3,
            least=min(times) * 1e3,
            most=max(times) * 1e3,
            runs=len(times),
            first=first,
            a_second=samples / middle,
            **peak,
            **facts,
        )
        return middle

    def _seconds(self, call):
        start = time.perf_counter()
        call()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def markdown(self):
        """The table for people."""
        head = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        lines = [head, "", "| what | median ms | least | most | a second |", "|---|---|---|---|---|"]
        for row in self.rows:
            if "ms" in row:
                lines.append("| {what} | {ms:.3f} | {least:.3f} | {most:.3f} | {a_second:,.0f} |".format(**row))
            else:
                other = "; ".join(f"{name.replace('_', ' ')}: {row[name]}" for name in row if name != "what")
                lines.append(f"| {row['what']} | {other} | | | |")
        return "\n".join(lines)


def card(device):
    """Where this runs."""
    from spikeport.engine.devices import fingerprint

    facts = {"python": platform.python_version(), "kernels": fingerprint(), "date": time.strftime("%Y-%m-%d")}
    for name in ("torch", "triton", "numpy", "spikingjelly"):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "none"
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        facts["card"] = torch.cuda.get_device_name()
        facts["driver"] = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return facts
