"""Writes build/bench.json as tables: ``python tests/bench_table.py > docs/results/engine-speed.md``, and
``python tests/bench_table.py formats > docs/results/formats.md``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ENGINE = """# The engine's speed

Written by `python tests/bench_table.py` from the figures of `make bench`. Medians of runs that take turns; a ratio
above 1 means that the engine is faster than what it is compared with. "Floor" is the least that the work must take: the
exact products alone, and one pass over the bytes of the neurons; its ratio is the floor's time over the engine's.

| network | against | ratio | engine, s | samples/s |
|---|---|---|---|---|
"""
FORMATS = """# Writing and reading files

Written by `python tests/bench_table.py formats` from the figures of
`pytest tests/benchmarks/test_formats.py -m bench -s`. ResNet-19 has 12.7 million parameters, 51 MB of float32; memory
and file size are multiples of that. Each call runs five times, each in a process of its own: seconds are the fastest
and the slowest, memory is the largest. "Memory" is the peak of resident memory over that of a process that has imported
everything and has no network yet, so that the network counts; "extra" leaves out what was there before the call
(`tests/benchmarks/formats_child.py`). Asked: writing within 5 s, reading within 3 s, memory below 4, files within 1.1.

| | s, fastest | s, slowest | memory | extra | file |
|---|---|---|---|---|---|
"""


def engine(e):
    """A row: how fast the engine is."""
    speed = f"{e['samples_per_second']:.4g}" if "samples_per_second" in e else ""
    return f"| {e['name']} | {e['against']} | {e['ratio']:.2f} | {e['seconds']:.4g} | {speed} |"


def formats(e):
    """A row: what a file takes."""
    sizes = " | ".join(f"{e[key]:.2f}" for key in ("memory", "extra"))
    return f"| {e['name']} | {e['seconds']:.2f} | {e['slowest']:.2f} | {sizes} | {e['file']:.3f} |"


TABLES = {"engine": (ENGINE, engine), "formats": (FORMATS, formats)}


def main(table="engine"):
    """Print one table of what the benchmarks recorded."""
    head, row = TABLES[table]
    every = json.loads(Path("build/bench.json").read_text())
    entries = [e for e in every if "machine" in e and e.get("table", "engine") == table]
    print(head, end="")
    for e in entries:
        print(row(e))
    print("\nMeasured with:\n")
    for machine in {json.dumps(e["machine"], sort_keys=True) for e in entries}:
        print(f"- `{machine}`")


if __name__ == "__main__":
    main(*sys.argv[1:])
